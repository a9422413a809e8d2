"""All kinds of code: another number is noticed, another place is not."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import cloudpickle
import pytest

from tests.digests.edits import digest_of
from tests.digests.programs import PROGRAMS

ROOT = Path(__file__).parents[2]


@contextmanager
def loaded(name: str, text: str) -> Iterator[ModuleType]:
    """Make a module of a text, as if it had been imported."""
    module = sys.modules[name] = ModuleType(name)
    module.__file__ = f"/nowhere/{name}.py"
    try:
        exec(compile(text, module.__file__, "exec"), vars(module))
        yield module
    finally:
        del sys.modules[name]


def digest(text: str, number: int, name: str = "knot_program") -> bytes | None:
    with loaded(name, text.replace("NUMBER", str(number))) as module:
        return digest_of(module.work, 1)


@pytest.mark.parametrize("kind", PROGRAMS)
def test_another_number_is_noticed(kind: str) -> None:
    first, second = (digest(PROGRAMS[kind], number) for number in (7, 9))
    assert first is not None
    assert first != second


@pytest.mark.parametrize("kind", PROGRAMS)
def test_another_place_is_not(kind: str) -> None:
    moved = f"# moved\n\n{PROGRAMS[kind]}"
    assert digest(PROGRAMS[kind], 7) == digest(moved, 7, "knot_elsewhere")


@pytest.mark.parametrize("kind", [kind for kind in PROGRAMS if kind != "flag"])
def test_what_is_sent_by_value_is_the_same(kind: str) -> None:
    """cloudpickle can't send an `enum.Flag` by value."""
    with loaded("knot_program", PROGRAMS[kind].replace("NUMBER", "7")) as module:
        cloudpickle.register_pickle_by_value(module)
        try:
            sent = pickle.loads(cloudpickle.dumps(module.work))
        finally:
            cloudpickle.unregister_pickle_by_value(module)
        assert digest_of(sent, 1) == digest_of(module.work, 1)


def test_functions_that_call_each_other_have_no_regard_for_the_way_in() -> None:
    text = """
    def a(n): return b(n - 1) if n else 1
    def b(n): return c(n - 1) if n else 2
    def c(n): return a(n - 1) if n else 3
    def first(n): return a(n)
    """
    with loaded("knot_circle", textwrap.dedent(text)) as module:
        before = digest_of(module.a, 1), digest_of(module.b, 1), digest_of(module.c, 1)
        assert len({*before}) == 3
        digest_of(module.first, 1)
        assert before == (digest_of(module.a, 1), digest_of(module.b, 1), digest_of(module.c, 1))
        module.c.__defaults__ = (5,)
        assert not {*before} & {digest_of(module.a, 1), digest_of(module.b, 1)}


def test_circles_of_many_take_no_time() -> None:
    """Each of them calls all others: there are more ways than anybody could walk."""
    names = [f"f{number}" for number in range(60)]
    lines = [f"def {name}(): return {', '.join(names)}, {name!r}" for name in names]
    with loaded("knot_many", "\n".join(lines)) as module:
        assert digest_of(module.f0) is not None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def work(x): return eval('LIMIT')", "eval() can reach what its code doesn't name"),
        ("def work(x): return globals()['a']", "globals() can reach what its code doesn't name"),
        ("def work(x):\n    import knot_nowhere as k\n    return k.f(x)", "'knot_nowhere'"),
        ("import threading\nL = threading.Lock()\ndef work(x): return L", "_thread.lock"),
        ("def g(): yield\nG = g()\ndef work(x): return G", "generator"),
    ],
)
def test_what_cant_be_digested_says_why(text: str, why: str) -> None:
    from dask_knot.internals import Task
    from tests.digests.edits import DIGESTER

    with loaded("knot_refused", text) as module:
        tasks = {"a": Task("a", module.work, 1), "b": Task("b", module.work, 2)}
        found = DIGESTER.of_graph(tasks, lambda key: None)
    assert not found.digests
    ((reason, refusal),) = found.refusals.items()
    assert why in reason
    assert (refusal.key, refusal.count) == ("a", 2)


class Dispatcher:
    """What numba makes of a function, as far as it matters here."""

    __module__ = "numba.core.registry"

    def __init__(self, py_func: object, **options: object) -> None:
        self.py_func = py_func
        self.targetoptions = options
        self.compiled = object()  # by the types that it was called with


def test_what_numba_compiles_is_its_function_and_its_options() -> None:
    def digest(number: int, **options: object) -> bytes | None:
        with loaded("knot_numba", f"def work(x): return x + {number}") as module:
            return digest_of(Dispatcher(module.work, **options), 1)

    assert digest(1) == digest(1)
    assert len({digest(1), digest(2), digest(1, fastmath=True)}) == 3


SCRIPT = """
import sys
sys.path[:0] = [ROOT, HERE]
import knot_beside
from dataclasses import dataclass
from dask_knot.graphs.opening import send_graph
from dask.distributed import Client
NAMES = {"alpha", "beta", "gamma", "delta"}

@dataclass
class Point:
    x: int = 3

def helper(x):
    return x in NAMES or x in {"one", "two", "three"}

def work(x):
    return helper(x), knot_beside.beside(x), Point(x)

if __name__ == "__main__":
    import pickle, cloudpickle
    from tests.digests.edits import digest_of
    sent = pickle.loads(cloudpickle.dumps(work))
    print(digest_of(sent, frozenset(NAMES)).hex())
"""


def run_script(folder: Path, name: str, seed: int, head: str = "") -> str:
    folder.mkdir(exist_ok=True)
    (folder / "knot_beside.py").write_text(f"{head}\ndef beside(x):\n    return x + 5\n")
    text = SCRIPT.replace("ROOT", repr(str(ROOT))).replace("HERE", repr(str(folder)))
    script = folder / name
    script.write_text(head + text)
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout


def test_other_processes_folders_names_and_seeds(tmp_path: Path) -> None:
    first = run_script(tmp_path / "a", "script.py", 1)
    second = run_script(tmp_path / "b", "other.py", 2, head="# moved\n\n\n")
    assert len(first) == 33
    assert first == second
