"""A module that was edited and not loaded again: what is used of it has no digest."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
import pytest
from dask.typing import Key

from dask_knot.digests import Digester
from dask_knot.internals import Task

SOURCE = '''\
"""Helpers."""
import functools
FACTOR = 2
TABLE = {"a": 1}
COUNT = 0
def weighted(x):
    """Weigh."""
    return x * FACTOR
def looked_up(x): return x + TABLE["a"]
def by_default(x, plus=1): return x + plus
@functools.lru_cache
def cached(x): return x + 3
class Scale:
    UNIT = 5
    def __call__(self, x): return x * self.UNIT
def counted(x):
    global COUNT
    COUNT += 1
    return x
def unused(x): return x
'''
NAMES = ("weighted", "looked_up", "by_default", "cached", "Scale")
#: By what is edited: the old text, the new one, and what is another one then.
EDITS: dict[str, tuple[str, str, set[str]]] = {
    "the body of a function": ("x * FACTOR", "x * FACTOR + 1", {"weighted"}),
    "a constant": ("FACTOR = 2", "FACTOR = 3", {"weighted"}),
    "a table": ('{"a": 1}', '{"a": 2}', {*NAMES}),
    "a default": ("plus=1", "plus=2", {*NAMES}),
    "a decorated function": ("x + 3", "x + 4", {"cached"}),
    "a decorator": ("lru_cache", "cache", {*NAMES}),
    "an attribute of a class": ("UNIT = 5", "UNIT = 6", {*NAMES}),
    "a method": ("x * self.UNIT", "x / self.UNIT", {"Scale"}),
    "a constant that is computed now": ("FACTOR = 2", "FACTOR = int('3')", {*NAMES}),
    "a function that is gone": ("def weighted", "def other", {"weighted"}),
    "what can't be parsed": ("def unused(x)", "def unused(x", {*NAMES}),
    "a function that nothing uses": ("def unused(x): return x", "def unused(x): return 1", set()),
    "a function more": ("def unused", "def new(x): return 9\ndef unused", set()),
    "remarks and lines": ("FACTOR = 2", "\n\n# why\nFACTOR = 2  # so", set()),
    "docstrings": ('"""Weigh."""', '"""Weigh it."""', set()),
    "an annotation": ("def weighted(x)", "def weighted(x: int) -> int", set()),
}


class Client:
    """A session that has imported a module of its own."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "knot_source.py"
        self.write(SOURCE)
        self.module: ModuleType = importlib.import_module("knot_source")
        self.digester = Digester()

    def write(self, text: str) -> None:
        """Write the module, later than before."""
        age = os.stat(self.file).st_mtime_ns + 10**10 if self.file.exists() else 10**18
        self.file.write_text(text)
        os.utime(self.file, ns=(age, age))

    def digest(self, function: Callable[..., Any]) -> tuple[bytes | None, str]:
        """Give the digest of a task that calls a function, or why there is none."""
        key: Key = "key"
        found = self.digester.of_graph({key: Task(key, function, 1)}, lambda key: None)
        return found.digests.get(key), "".join(found.refusals)

    def digests(self) -> dict[str, bytes | None]:
        """Give the digests of all that the module has to offer."""
        made = {name: getattr(self.module, name) for name in NAMES}
        return {n: self.digest(f() if n == "Scale" else f)[0] for n, f in made.items()}


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    yield Client(tmp_path)
    del sys.modules["knot_source"]


@pytest.mark.parametrize("is_known", [True, False], ids=["seen before", "never seen before"])
@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_that_is_not_loaded(client: Client, edit: str, is_known: bool) -> None:
    old, new, others = EDITS[edit]
    before = client.digests() if is_known else {}
    assert None not in before.values()
    client.write(SOURCE.replace(old, new))
    after = client.digests()
    refused = {name for name, found in after.items() if found is None}
    if is_known:
        assert refused == others
        assert all(after[name] == before[name] for name in set(NAMES) - refused)
    else:  # what else was edited meanwhile nobody knows
        assert refused >= others


@pytest.mark.parametrize("edit", [edit for edit in EDITS if "gone" not in edit])
def test_an_edit_that_is_loaded(client: Client, edit: str) -> None:
    old, new, others = EDITS[edit]
    before = client.digests()
    client.write(SOURCE.replace(old, new))
    if "parsed" in edit:
        client.write(SOURCE)
    else:
        importlib.reload(client.module)
        after = client.digests()
        assert None not in after.values()
        changed = {name for name in NAMES if after[name] != before[name]}
        assert changed <= others
        assert len(changed) == bool(others)
        client.write(SOURCE)
        importlib.reload(client.module)
    assert client.digests() == before


def test_the_reason_says_what_to_do_and_is_a_warning_once(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    client.write(SOURCE.replace("x * FACTOR", "x"))
    _, why = client.digest(client.module.weighted)
    client.digest(client.module.weighted)
    assert [one.getMessage() for one in caplog.records if why in one.getMessage()] == [
        f"{why}. Until then its results are computed again each time"
    ]
    assert str(client.file) in why
    assert "edited since it was imported here: reload it" in why


def test_a_constant_that_is_set_here_is_not_what_jobs_have(client: Client) -> None:
    vars(client.module)["FACTOR"] = 7
    _, why = client.digest(client.module.weighted)
    assert "FACTOR" in why
    module = client.module

    def of_a_script(x: int) -> Any:
        return x * module.FACTOR

    of_a_script.__module__ = "__main__"
    assert client.digest(of_a_script)[0] is None


def test_of_what_travels_by_value_the_file_does_not_matter(client: Client) -> None:
    cloudpickle.register_pickle_by_value(client.module)
    try:
        sent = cloudpickle.loads(cloudpickle.dumps(client.module.weighted))
    finally:
        cloudpickle.unregister_pickle_by_value(client.module)
    before = client.digest(sent)
    client.write(SOURCE.replace("x * FACTOR", "x"))
    assert client.digest(sent) == before
    assert before[0] is not None


@pytest.mark.parametrize(
    "line",
    [
        "try:\n  import functools as FACTOR\nexcept ImportError: pass",
        "from functools import *\nvars()['FACTOR'] = 5",
        "class FACTOR: pass",
        "def FACTOR(): pass",
        "FACTOR += 1",
        "for FACTOR in (5, 6): pass",
        "match 7:\n  case FACTOR: pass",
        "def set_it():\n  global FACTOR\n  FACTOR = 5\nset_it()",
    ],
)
def test_what_is_set_more_than_once_is_no_constant(client: Client, line: str) -> None:
    client.write(SOURCE.replace("FACTOR = 2", f"FACTOR = 2\n{line}"))
    importlib.reload(client.module)
    assert client.digest(client.module.weighted)[0] is not None


def test_a_decorator_may_write_a_function_anew(client: Client) -> None:
    function = client.module.weighted
    other = compile("def weighted(x): return x + 5\n", str(client.file), "exec").co_consts[0]
    function.__code__ = other
    assert client.digest(function)[0] is not None
    client.write(SOURCE.replace("x * FACTOR", "x"))
    assert client.digest(function)[0] is None


def test_a_module_whose_file_is_gone(client: Client) -> None:
    client.file.unlink()
    _, why = client.digest(client.module.weighted)
    assert "can no longer import it" in why
