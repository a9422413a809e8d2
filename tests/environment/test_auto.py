"""What ``auto`` stands for."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from dask_knot.environment.auto import imported_packages


def auto(text: str, folder: Path) -> tuple[set[str], list[str]]:
    """Give the packages of a script, and what is said of it."""
    said: list[str] = []
    script = folder / "a.py"
    script.write_text(text)
    return set(imported_packages(script, said.append)), said


def test_modules_are_told_by_the_packages_that_have_them(tmp_path: Path) -> None:
    text = "import yaml\nfrom sklearn.svm import SVC\nimport mpl_toolkits.mplot3d"
    found, said = auto(text, tmp_path)
    assert found == {"pyyaml", "scikit-learn", "matplotlib"}
    assert said == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "import no_such_module.part",
            "a.py imports no_such_module, which is not installed here: ",
        ),
        ("import cv2", "a.py imports cv2, which is not installed here (pip install opencv-python)"),
        ("import azure.no_such.part", "a.py imports azure.no_such.part, which is not installed"),
        ("import mpl_toolkits.basemap", "a.py imports mpl_toolkits.basemap, which is not"),
    ],
)
def test_what_is_not_installed_is_said(text: str, says: str, tmp_path: Path) -> None:
    found, said = auto(f"{text}\n{text}\nimport yaml", tmp_path)
    assert found == {"pyyaml"}
    assert [line[: len(says)] for line in said] == [says]


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    import no_such_module\nexcept ImportError:\n    pass",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import no_such_module",
        "import sys\nif sys.version_info < (3, 8):\n    import no_such_module",
    ],
)
def test_nothing_is_said_of_what_a_source_does_without(text: str, tmp_path: Path) -> None:
    assert auto(text, tmp_path) == (set(), [])


def test_what_hides_a_package_is_said(tmp_path: Path) -> None:
    (tmp_path / "zarr.py").write_text("import yaml")
    found, said = auto("import zarr", tmp_path)
    assert "pyyaml" in found
    assert said == ["zarr next to a.py shadows the package zarr, which is left out of the image"]


def test_where_nothing_runs_that_imports_this_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    main = ModuleType("__main__")
    main.__spec__ = None
    monkeypatch.setitem(sys.modules, "__main__", main)
    said: list[str] = []
    assert list(imported_packages(None, said.append)) == []
    assert said == [
        "nothing that runs here imports a package: the image has only Dask and dask_knot"
    ]


def test_what_could_not_be_read_is_said(tmp_path: Path) -> None:
    found, said = auto("import yaml\nprint 'x'", tmp_path)
    assert found == {"pyyaml"}
    assert "line 2 is not valid Python" in said[0]
