"""What a session has imported: real ones, of Python, IPython and a kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from nbclient import NotebookClient

import dask_knot
from dask_knot.environment.session import notebook_file, session_imports

ROOT = Path(dask_knot.__file__).parent.parent
#: Prints what the session's imports are, as JSON.
SHOW = """\
import json as _json
from dask_knot.environment.session import session_imports as _find
_found = _find({"yaml", "numpy"})
print("FOUND", _json.dumps([_found.names, _found.own, _found.unread, _found.optional]))
"""


def found(text: str) -> tuple[set[str], list[str], list[str], set[str]]:
    [line] = [line for line in text.splitlines() if line.startswith("FOUND ")]
    names, own, unread, optional = json.loads(line.removeprefix("FOUND "))
    return set(names), own, unread, set(optional)


def in_kernel(folder: Path, *cells: str) -> str:
    """Run cells in a kernel in a folder; give what they print."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(
        book, timeout=100, iopub_timeout=60, resources=resources, allow_errors=True
    ).execute()
    outputs = [output for cell in book.cells for output in cell.outputs]
    return "".join(output.get("text", "") for output in outputs)


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def test_a_notebook_has_imported_what_its_cells_import(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import msgpack\n")
    names, own, unread, _ = found(
        in_kernel(
            tmp_path,
            "%%time\nimport yaml",
            "%matplotlib inline\n!echo \\\n  hello\nimport mine",
            "def f():\n    import zarr.storage\n    return zarr",
            "this is no python",
            "yaml.dump?\nx = yaml.SafeLoader\nfrom numpy import *",
            SHOW,
        )
    )
    assert names >= {"yaml", "zarr", "numpy", "msgpack"}
    assert not names & {"ipykernel", "IPython", "foreign", "mine"}
    assert own == ["mine"]
    assert unread == []


def test_lines_of_a_command_are_a_list_of_ipythons(tmp_path: Path) -> None:
    assert "IPython" in found(in_kernel(tmp_path, "lines = !echo one", SHOW))[0]


def test_the_file_of_a_notebook_says_what_later_cells_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = {"cell_type": "code", "source": "import zarr"}
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": [cell]}))
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    assert found(in_kernel(tmp_path, "import yaml", SHOW))[0] == {"dask_knot", "yaml", "zarr"}


@pytest.mark.parametrize("said", [3, "gone.ipynb", "console-1", None])
def test_a_file_that_is_none_is_not_read(said: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    assert notebook_file({"__vsc_ipynb_file__": said}) is None


def test_a_python_that_is_typed_into_has_no_history(tmp_path: Path) -> None:
    text = "import yaml as y\nfrom numpy import mean\nvalue = y.YAMLError()\n"
    text += "def f():\n    import zarr\n    return lambda: __import__('msgpack')\n\n"
    command = [sys.executable, "-i", "-"]
    done = subprocess.run(
        command, input=text + SHOW, capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    names = found(done.stdout)[0]
    assert names >= {"yaml", "numpy", "zarr"}
    assert "msgpack" not in names  # what is computed isn't known


def test_a_command_of_a_package_has_imported_itself(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    (site / "tool").mkdir(parents=True)
    (site / "tool/__init__.py").write_text("")
    (site / "tool/__main__.py").write_text("import yaml\n" + SHOW)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    command = [sys.executable, "-m", "tool"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, timeout=60, env=environment
    )
    names, own, _, optional = found(done.stdout)
    assert names >= {"tool", "yaml"}
    assert "tool" in optional
    assert own == []


def test_what_stands_in_a_namespace_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    class Proxy:
        def __getattr__(self, name: str) -> object:
            raise AssertionError(name)

    Proxy.__module__ = "somewhere.deep"
    main = ModuleType("__main__")
    main.__dict__.update(proxy=Proxy(), numbers=[1], __spec__=None)
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert session_imports({}).names == ("somewhere",)
