"""What is found in scripts, notebooks and folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dask_knot.environment.imports import find_imports, script_of
from dask_knot.errors import ImageError


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def notebook(*cells: str, kind: str = "code") -> dict[str, object]:
    return {"cells": [{"cell_type": kind, "source": cell.splitlines(True)} for cell in cells]}


def test_a_script_imports_what_is_not_pythons_own(tmp_path: Path) -> None:
    script = write(
        tmp_path / "a.py",
        "import os, zoneinfo, graphlib\nimport numpy as np\nfrom sklearn.svm import SVC\n"
        "def f():\n    import xarray.core\nfrom __future__ import annotations\n",
    )
    assert find_imports(script).names == ("numpy", "sklearn", "xarray")


def test_only_the_script_itself_is_read(tmp_path: Path) -> None:
    write(tmp_path / "other.py", "import pandas")
    assert find_imports(write(tmp_path / "a.py", "import numpy")).names == ("numpy",)


def test_modules_beside_a_script_are_read_as_well(tmp_path: Path) -> None:
    write(tmp_path / "near.py", "import pandas\nimport package.deep")
    write(tmp_path / "package/__init__.py", "")
    write(tmp_path / "package/deep.py", "import scipy\nfrom . import deeper")
    found = find_imports(write(tmp_path / "a.py", "import near"))
    assert found.names == ("pandas", "scipy")
    assert found.own == ("near", "package")


def test_a_folder_is_read_without_other_peoples_code(tmp_path: Path) -> None:
    write(tmp_path / "a.py", "import numpy, b")
    write(tmp_path / "b.py", "import pandas")
    write(tmp_path / "env1/pyvenv.cfg", "")
    for foreign in ("env1/lib/x.py", ".venv/y.py", "node_modules/z.py", ".hidden/v.py"):
        write(tmp_path / foreign, "import foreign")
    assert find_imports(tmp_path).names == ("numpy", "pandas")


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
    assert find_imports(path).names == ("numpy", "pandas", "xarray", "zarr")


def test_text_in_a_notebook_is_no_code() -> None:
    assert script_of(notebook("import numpy", kind="markdown")) == ""


def test_a_file_that_is_no_python_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    bad = write(tmp_path / "bad.py", "print 'Python 2'")
    broken = write(tmp_path / "broken.ipynb", "{")
    write(tmp_path / "good.py", "import numpy")
    found = find_imports(tmp_path)
    assert found.names == ("numpy",)
    assert sorted(found.unread) == sorted([str(bad), str(broken)])


def test_the_name_of_the_folder_hides_nothing(tmp_path: Path) -> None:
    write(tmp_path / "numpy_work" / "a.py", "import numpy")
    assert find_imports(tmp_path / "numpy_work").names == ("numpy",)


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
    assert find_imports(write(tmp_path / "a.py", text)).implied == implied


@pytest.mark.parametrize(
    ("name", "says"), [("data.csv", r"\.py.*\.ipynb.*folder"), ("no.py", "no such file")]
)
def test_another_file_is_refused(name: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=says) as caught:
        find_imports(tmp_path / name)
    assert name in str(caught.value)
