"""What is found in scripts, notebooks and folders."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from dask_knot.environment import beside
from dask_knot.environment.beside import scripts_in
from dask_knot.environment.imports import Imports, find_imports
from dask_knot.errors import ImageError


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def find(source: Path, path: list[str] | None = None) -> Imports:
    return find_imports(source, {"dask", "numpy"}, path)


def notebook(*cells: str) -> dict[str, object]:
    return {"cells": [{"cell_type": "code", "source": cell.splitlines(True)} for cell in cells]}


def test_a_script_imports_what_is_not_pythons_own(tmp_path: Path) -> None:
    script = write(
        tmp_path / "a.py",
        "import os, zoneinfo, graphlib\nimport numpy as np\nfrom sklearn.svm import SVC\n"
        "def f():\n    import xarray.core\nfrom __future__ import annotations\n",
    )
    assert find(script).names == ("numpy", "sklearn", "xarray")


def test_only_the_script_itself_is_read(tmp_path: Path) -> None:
    write(tmp_path / "other.py", "import pandas")
    assert find(write(tmp_path / "a.py", "import numpy")).names == ("numpy",)


def test_modules_beside_a_script_are_read_as_well(tmp_path: Path) -> None:
    write(tmp_path / "near.py", "import pandas\nimport package.deep")
    write(tmp_path / "package/__init__.py", "")
    write(tmp_path / "package/deep.py", "import scipy\nfrom . import deeper")
    found = find(write(tmp_path / "a.py", "import near"))
    assert found.names == ("pandas", "scipy")
    assert found.own == ("near", "package")


def test_a_folder_is_read_without_other_peoples_code(tmp_path: Path) -> None:
    write(tmp_path / "a.py", "import numpy, b")
    write(tmp_path / "b.py", "import pandas")
    write(tmp_path / "env1/pyvenv.cfg", "")
    for foreign in ("env1/lib/x.py", ".venv/y.py", "node_modules/z.py", ".hidden/v.py"):
        write(tmp_path / foreign, "import foreign")
    assert find(tmp_path).names == ("numpy", "pandas")


def test_a_notebook_is_read_without_what_only_ipython_understands(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    cells = (
        "%matplotlib inline\nimport numpy",
        "!pip install scipy\nfiles = !ls\nimport pandas",
        "%%bash\nimport foreign",
        "import this is not python",
        "np.mean?\nimport xarray",
        "if True:\n    !ls\nimport zarr",
    )
    path.write_text(json.dumps(notebook(*cells)))
    assert find(path).names == ("numpy", "pandas", "xarray", "zarr")


def test_a_file_that_is_no_python_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    bad = write(tmp_path / "bad.py", "print 'Python 2'\nimport scipy")
    broken = write(tmp_path / "broken.ipynb", "{")
    write(tmp_path / "good.py", "import numpy")
    found = find(tmp_path)
    assert found.names == ("numpy", "scipy")
    said = sorted(found.unread)
    assert said[0].startswith(f"{bad}: line 1 is not valid Python")
    assert said[1].startswith(f"{broken}: it isn't a notebook")
    assert len(said) == 2


def test_the_name_of_the_folder_hides_nothing(tmp_path: Path) -> None:
    write(tmp_path / "numpy_work" / "a.py", "import numpy")
    assert find(tmp_path / "numpy_work").names == ("numpy",)


@pytest.mark.parametrize(
    ("text", "implied"),
    [
        ("import dask.dataframe as dd", ("pandas", "pyarrow")),
        ("import xarray\nxarray.open_zarr('x')", ("zarr",)),
        ("import pandas\npandas.read_parquet('s3://x')", ("pyarrow", "s3fs")),
        ("import dask.array", ()),
    ],
)
def test_what_others_import_at_need_is_implied(
    text: str, implied: tuple[str, ...], tmp_path: Path
) -> None:
    assert find(write(tmp_path / "a.py", text)).implied == implied


@pytest.mark.parametrize(
    ("name", "says"), [("data.csv", r"\.py.*\.ipynb.*folder"), ("no.py", "no such file")]
)
def test_another_file_is_refused(name: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=says) as caught:
        find(tmp_path / name)
    assert name in str(caught.value)


def test_a_cell_that_is_half_broken_is_named_and_its_imports_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(notebook("import numpy", "import scipy\nwhat was this\n%time x")))
    found = find(path)
    assert found.names == ("numpy", "scipy")
    assert [line.split(": line 2")[0] for line in found.unread] == [f"{path}, cell 2"]


def test_a_notebook_of_another_language_is_said(tmp_path: Path) -> None:
    metadata = {"metadata": {"kernelspec": {"language": "R"}}}
    path = write(tmp_path / "a.ipynb", json.dumps(notebook("library(numpy)") | metadata))
    found = find(path)
    assert found.names == ()
    assert "its language is R" in found.unread[0]


def test_files_that_a_notebook_runs_are_read(tmp_path: Path) -> None:
    write(tmp_path / "more.py", "import pandas")
    path = write(tmp_path / "a.ipynb", json.dumps(notebook("%run more.py\n%run gone.py")))
    assert find(path).names == ("pandas",)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-8-sig"])
def test_a_script_in_any_encoding_is_read(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_bytes("name = 'Zoë'\nimport numpy".encode(encoding))
    assert find(path) == Imports(("numpy",), dotted=("numpy",))


@pytest.mark.parametrize("name", ["env", "venv", "build", "lib", "site_packages"])
def test_a_package_of_any_name_beside_a_script_is_read(name: str, tmp_path: Path) -> None:
    write(tmp_path / f"{name}/__init__.py", "from . import deep")
    write(tmp_path / f"{name}/deep.py", "import numpy")
    found = find(write(tmp_path / "a.py", f"import {name}"))
    assert (found.names, found.own, found.unread) == (("numpy",), (name,), ())


def test_a_package_that_is_no_python_is_read_as_far_as_it_is(tmp_path: Path) -> None:
    broken = write(tmp_path / "mine/__init__.py", "import numpy\nprint 'Python 2'")
    found = find(write(tmp_path / "a.py", "import mine"))
    assert (found.names, found.own) == (("numpy",), ("mine",))
    assert found.unread[0].startswith(f"{broken}: line 2 is not valid Python")


def test_modules_that_import_each_other_end(tmp_path: Path) -> None:
    write(tmp_path / "one.py", "import two, a")
    write(tmp_path / "two.py", "import one, numpy")
    found = find(write(tmp_path / "a.py", "import one"))
    assert (found.names, found.own) == (("numpy",), ("a", "one", "two"))


def test_a_file_below_hides_nothing(tmp_path: Path) -> None:
    write(tmp_path / "io/zarr.py", "import zarr, h5py")
    script = write(tmp_path / "a.py", "import zarr\nfrom io import zarr as other, StringIO")
    assert find(script).names == ("zarr",)
    assert find(tmp_path).names == ("h5py", "zarr")


def test_a_file_that_wraps_what_it_is_called_does_not_import_itself(tmp_path: Path) -> None:
    assert find(write(tmp_path / "zarr.py", "import zarr")).names == ("zarr",)


def test_a_module_beside_a_script_comes_before_what_is_installed(tmp_path: Path) -> None:
    write(tmp_path / "zarr.py", "import numpy")
    found = find(write(tmp_path / "a.py", "import zarr"))
    assert (found.names, found.own) == (("numpy",), ("zarr",))


def test_a_folder_that_is_no_package_comes_after_what_is_installed(tmp_path: Path) -> None:
    for name in ("dask", "mine"):
        write(tmp_path / name / "part.py", "import numpy")
    script = write(tmp_path / "a.py", "import dask.array, mine.part")
    found = find(script)
    assert (found.names, found.own) == (("dask", "numpy"), ("mine",))


def test_a_module_of_a_package_sees_its_package(tmp_path: Path) -> None:
    write(tmp_path / "mine/__init__.py", "")
    write(tmp_path / "mine/near.py", "import numpy")
    write(tmp_path / "mine/far/__init__.py", "import scipy")
    script = write(tmp_path / "mine/run.py", "import mine.near\nfrom .far import x")
    found = find(script)
    assert (found.names, found.own) == (("numpy", "scipy"), ("mine",))


def test_modules_on_pythons_path_are_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "lib/near.py", "import numpy")
    script = write(tmp_path / "a/a.py", "import near")
    assert find(script, [str(tmp_path / "lib")]).names == ("numpy",)
    assert find(script).names == ("near",)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "lib"))
    assert find(script).names == ("numpy",)


def test_what_is_installed_is_nobodys_own(tmp_path: Path) -> None:
    script = write(tmp_path / "a.py", "import numpy, json, dask_knot")
    found = find(script, sys.path)
    assert found.own == ()
    assert "numpy" in found.names


def test_links_that_lead_in_circles_are_followed_once(tmp_path: Path) -> None:
    write(tmp_path / "a.py", "import numpy")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "self.py").symlink_to(tmp_path / "self.py")
    (tmp_path / "gone.py").symlink_to(tmp_path / "nothing.py")
    found = find(tmp_path)
    assert found.names == ("numpy",)
    assert len(found.unread) == 2
    assert all("can't be read" in line for line in found.unread)


def test_a_folder_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    assert list(scripts_in(tmp_path / "gone", said.append)) == []
    assert "gone can't be read: No such file" in said[0]


def test_of_a_huge_folder_some_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "MOST", 2)
    for number in range(5):
        write(tmp_path / f"part{number}.py", f"import a{number}")
        write(tmp_path / f"data{number}.csv", "1")
    found = find(tmp_path)
    assert found.names == ("a0", "a1")
    assert "more than 2 scripts" in found.unread[0]


def test_what_a_source_does_without_is_marked(tmp_path: Path) -> None:
    text = "try:\n    import cupy, numpy\nexcept ImportError:\n    pass\nimport numpy.fft"
    found = find(write(tmp_path / "a.py", text))
    assert found.names == ("cupy", "numpy")
    assert found.optional == ("cupy",)
    assert found.dotted == ("cupy", "numpy", "numpy.fft")
