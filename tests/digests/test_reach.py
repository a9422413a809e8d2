"""What code reaches by ways of its own: another number there is noticed, or it runs anew."""

from __future__ import annotations

import importlib
import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import toolz
import xarray as xr
from xarray.backends import BackendArray

from tests.digests.edits import digest_of

#: What the helper of most of these programs is.
HELPER = "def f(x): return NUMBER\n"
#: Files by name; `program.py` has `work`.
REACHED: dict[str, dict[str, str]] = {
    "getattr of a module": {
        "program.py": "import helper\ndef work(x): return helper.f(x)\n",
        "helper.py": "def __getattr__(name):\n import deep\n return getattr(deep, name)\n",
        "deep.py": HELPER,
    },
    "relative import": {
        "program.py": "from pack.a import work\n",
        "pack/__init__.py": "",
        "pack/a.py": "def work(x):\n from . import b\n return b.f(x)\n",
        "pack/b.py": HELPER,
    },
    "import of a part": {
        "program.py": "def work(x):\n import pack.sub.part\n return pack.sub.part.f(x)\n",
        "pack/__init__.py": "",
        "pack/sub/__init__.py": "",
        "pack/sub/part.py": HELPER,
    },
    "import into a global": {
        "program.py": (
            "def init():\n global helper\n import helper\n"
            "def work(x):\n init()\n return helper.f(x)\n"
        ),
        "helper.py": HELPER,
    },
    "import for its effects": {
        "program.py": "def work(x):\n import helper\n return x\n",
        "helper.py": HELPER,
    },
    "one of two imports": {
        "program.py": (
            "def work(x):\n if x:\n  import helper\n else:\n  import other as helper\n"
            " return helper.f(x)\n"
        ),
        "helper.py": HELPER,
        "other.py": "def f(x): return 1\n",
    },
    "one import after another": {
        "program.py": (
            "def work(x):\n import helper as m\n a = m.f(x)\n import other as m\n"
            " return a + m.f(x)\n"
        ),
        "helper.py": HELPER,
        "other.py": "def f(x): return 1\n",
    },
    "name in a query": {
        "program.py": "LIMIT = NUMBER\ndef work(table): return table.query('x > @LIMIT')\n"
    },
    "name in an expression": {
        "program.py": "import pandas\nLIMIT = NUMBER\ndef work(x): return pandas.eval('LIMIT')\n"
    },
    "name of an attribute": {
        "program.py": (
            "class Base:\n scale = 1\n def f(self): return self.scale\n"
            "class Own(Base):\n scaleNUMBER = 3\n"
            "setattr(Own, 'scale' if NUMBER == 7 else 'other', 3)\n"
            "del Own.scaleNUMBER\n"
            "def work(x): return Own().f()\n"
        )
    },
    "name in a module": {
        "program.py": "import helper\ndef work(x): return getattr(helper, 'v' + x)\n",
        "helper.py": "vNUMBER = 1\n",
    },
    "curried function": {
        "program.py": "import toolz\n@toolz.curry\ndef work(a, b=NUMBER): return a + b\n"
    },
    "file beside the module": {
        "program.py": (
            "from pathlib import Path\n"
            "def work(x): return (Path(__file__).parent / 'table.csv').read_text()\n"
        ),
        "table.csv": "NUMBER",
    },
    "file in a package": {
        "program.py": "from pack import work\n",
        "pack/__init__.py": (
            "from importlib.resources import files\n"
            "def work(x): return (files('pack') / 'table.csv').read_text()\n"
        ),
        "pack/table.csv": "NUMBER",
    },
}
#: Bodies of a function that are refused.
UNSEEN = {
    "globals of a function": "work.__globals__['NUMBER']",
    "globals of a frame": "sys._getframe().f_globals['NUMBER']",
    "classes that inherit": "[one() for one in Path.__subclasses__()]",
    "documentation": "work.__doc__",
    "address in keywords": "by_address()",
    "some file beside the module": "open(__file__ + x).read()",
}


def by_address(*, url: str = "https://example.org/latest") -> object:
    return pd.read_json(url)


def reached(files: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> bytes | None:
    for number, (name, text) in enumerate(files.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        time = 1_000_000_000 + number + len(text)
        os.utime(path, (time, time))
    before = set(sys.modules)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    importlib.invalidate_caches()
    try:
        return digest_of(importlib.import_module("program").work, "7")
    finally:
        for name in set(sys.modules) - before:
            if getattr(sys.modules[name], "__file__", "").startswith(str(folder)):
                del sys.modules[name]
        monkeypatch.undo()


@pytest.mark.parametrize("way", REACHED)
def test_another_number_is_noticed(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        reached(
            {name: text.replace("NUMBER", number) for name, text in REACHED[way].items()},
            tmp_path,
            monkeypatch,
        )
        for number in ("7", "11", "7")
    ]
    assert None not in found
    assert found[0] == found[2]
    assert found[0] != found[1]


@pytest.mark.parametrize("way", UNSEEN)
def test_what_can_not_be_seen_runs_anew(way: str) -> None:
    known = {"sys": sys, "Path": Path, "by_address": by_address}
    exec(f"def work(x): return {UNSEEN[way]}", known)
    assert digest_of(known["work"], "") is None


def _of_accessor(kind: type, number: int, monkeypatch: pytest.MonkeyPatch) -> bytes | None:
    known: dict[str, object] = {"__name__": "__main__"}
    exec(f"class Stations:\n def mean(self): return {number}\n", known)
    exec("def work(table): return table.stations.mean()", known)
    with monkeypatch.context() as patch:
        patch.setattr(kind, "stations", property(known["Stations"]), raising=False)
        return digest_of(known["work"], 1)


@pytest.mark.parametrize("kind", [pd.DataFrame, pd.Series, xr.Dataset, xr.DataArray])
def test_an_accessor_counts(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, again = (_of_accessor(kind, n, monkeypatch) for n in (7, 9, 7))
    assert first == again
    assert first is not None
    assert first != second


def test_accessors_of_the_libraries_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise each function that names `str` or `dt` would hang on much that it doesn't need."""
    known: dict[str, object] = {}
    exec("def work(table): return table.str.upper().dt.year.plot.line()", known)
    assert digest_of(known["work"], 1) is not None


def _of_backend(number: int) -> bytes | None:
    known: dict[str, object] = {"__name__": "__main__", "BackendArray": BackendArray}
    exec(f"class Own(BackendArray):\n def __getitem__(self, key): return {number}\n", known)
    return digest_of(len, known["Own"]())  # type: ignore[operator]


def test_a_reader_of_the_user_counts() -> None:
    first, second = _of_backend(7), _of_backend(9)
    assert first is not None
    assert first != second


def _of_compiled(content: bytes, file: Path, monkeypatch: pytest.MonkeyPatch) -> bytes | None:
    file.write_bytes(content)
    module = ModuleType("knot_compiled")
    module.__file__ = str(file)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec("class Own: pass", vars(module))
    return digest_of(module.Own)


def test_a_compiled_class_of_the_user_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its methods say nothing but their names."""
    file = tmp_path / f"knot_compiled{EXTENSION_SUFFIXES[0]}"
    first, again, second = (_of_compiled(one, file, monkeypatch) for one in (b"1", b"1", b"2"))
    assert first == again
    assert first != second


def test_curried_arguments_count() -> None:
    curried = toolz.curry(max)
    assert digest_of(curried(1)) != digest_of(curried(2))
