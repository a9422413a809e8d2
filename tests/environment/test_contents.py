"""The modules of working copies, as each build backend leads to them.

What stands here was read from installations by these backends.
"""

from __future__ import annotations

from importlib.metadata import Distribution
from pathlib import Path

import pytest

from dask_knot.environment.contents import contents, metadata, places, tops
from dask_knot.environment.distributions import by_module, find
from dask_knot.environment.origins import OriginKind, origin_of
from tests.environment.conftest import Install

SETUPTOOLS = """\
from pathlib import Path
MAPPING: dict[str, str] = {'mine': %r, 'space.part': %r}
NAMESPACES: dict[str, list[str]] = {}
PATH_PLACEHOLDER = '__editable__.mine-1.0.finder' + ".__path_hook__"
"""
OLDER_SETUPTOOLS = "MAPPING = {'mine': %r, 'space.part': %r}\nNAMESPACES = {}\n"
EDITABLES = """\
from editables.redirector import RedirectingFinder as F
F.install()
F.map_module('mine', %r)
F.map_module('space.part', %r)
"""
MESON = "import sys\n\ndef install(package_names, build_path, build_cmd):\n    pass\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give a project that isn't installed, with what usually stands beside its package."""
    folder = tmp_path / "project"
    for name in ("tests/__init__.py", "docs/conf.py", "setup.py", "scripts/run.py", "data/big.bin"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    return folder


def package(folder: Path) -> Path:
    """Write a package with a module, data, and what doesn't belong to it."""
    for name in ("__init__.py", "inner.py", "data/table.csv", "__pycache__/x.pyc", ".ipynb/x.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    return folder


MINE = ["mine/__init__.py", "mine/data/table.csv", "mine/inner.py"]


def editable(install: Install, project: Path, files: dict[str, str], **texts: str) -> Distribution:
    told = {"url": project.as_uri(), "dir_info": {"editable": True}}
    return install("mine", files=files, direct_url=told, **texts)


@pytest.mark.parametrize(
    ("pth", "backend"),
    [
        ("_editable_impl_mine.pth", "hatchling, pdm"),
        ("mine.pth", "poetry, flit, uv"),
        ("__editable__.mine-1.0.pth", "setuptools"),
    ],
)
@pytest.mark.parametrize("is_src", [True, False])
def test_a_pth_leads_to_a_folder(
    pth: str, backend: str, is_src: bool, install: Install, project: Path
) -> None:
    root = project / "src" if is_src else project
    package(root / "mine")
    found = editable(install, project, {pth: f"{root}\n"})
    assert sorted(contents(found)) == MINE
    assert tops(found) == {"mine"}
    assert by_module()["mine"] == {"mine"}


@pytest.mark.parametrize("finder", [SETUPTOOLS, OLDER_SETUPTOOLS, EDITABLES])
def test_a_finder_has_a_table(finder: str, install: Install, project: Path) -> None:
    mine, part = package(project / "lib" / "mine"), project / "other" / "part"
    part.mkdir(parents=True)
    (part / "__init__.py").write_text("")
    files = {
        "__editable___mine_1_0_finder.py": finder % (str(mine), str(part)),
        "__editable__.mine-1.0.pth": "import __editable___mine_1_0_finder; …install()",
    }
    found = editable(install, project, files)
    assert sorted(contents(found)) == [*MINE, "space/part/__init__.py"]
    assert tops(found) == {"mine", "space"}


def test_a_finder_leads_to_single_modules_too(install: Install, project: Path) -> None:
    for name in ("single.py", "fast.cpython-311-x86_64-linux-gnu.so"):
        (project / name).write_text("")
    text = f"MAPPING = {{'single': {str(project / 'single')!r}, 'fast': {str(project / 'fast')!r}}}"
    found = editable(install, project, {"__editable___mine_1_0_finder.py": text})
    assert sorted(contents(found)) == ["fast.cpython-311-x86_64-linux-gnu.so", "single.py"]


def test_a_finder_that_compiles_cannot_be_read(install: Install, project: Path) -> None:
    package(project / "mine")
    files = {"_mine_editable_loader.py": MESON, "mine-editable.pth": "import _mine_editable_loader"}
    assert contents(editable(install, project, files)) == {}


def test_a_namespace_is_taken_from_each_of_its_projects(install: Install, project: Path) -> None:
    package(project / "src" / "space" / "mine")
    found = editable(install, project, {"mine.pth": f"{project / 'src'}"})
    assert sorted(contents(found)) == [f"space/{name}" for name in MINE]


def test_a_package_may_have_another_name_than_its_project(install: Install, project: Path) -> None:
    package(project / "other_name")
    found = editable(install, project, {"mine.pth": f"{project}\n"})
    assert tops(found) == {"other_name"}


def test_an_environment_inside_of_a_package_is_left_out(install: Install, project: Path) -> None:
    folder = package(project / "mine")
    package(folder / "venv" / "lib")
    (folder / "venv" / "pyvenv.cfg").write_text("")
    assert sorted(contents(editable(install, project, {"mine.pth": f"{project}"}))) == MINE


def test_setup_py_develop_leaves_the_metadata_beside_the_modules(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ``.egg-link``, and a line in ``easy-install.pth``: nothing lists it."""
    package(project / "mine")
    info = project / "mine.egg-info"
    info.mkdir()
    (info / "PKG-INFO").write_text("Metadata-Version: 1.2\nName: mine\nVersion: 1.0\n")
    (info / "top_level.txt").write_text("mine\n")
    monkeypatch.syspath_prepend(str(project))
    found = find("mine")
    assert found is not None
    assert origin_of(found).kind is OriginKind.EDITABLE
    assert sorted(contents(found)) == MINE


def test_where_python_was_started_makes_no_difference(
    install: Install, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the folder of a working copy its own metadata come first, and lack some of a wheel's."""
    package(project / "mine")
    elsewhere = metadata(editable(install, project, {"mine.pth": f"{project}\n"}))
    info = project / "mine.egg-info"
    info.mkdir()
    (info / "PKG-INFO").write_text("Metadata-Version: 1.2\nName: mine\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(project))
    found = find("mine")
    assert found is not None
    assert metadata(found) == elsewhere


def test_what_runs_here_is_what_goes_along(
    install: Install, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PYTHONPATH may lead to another copy than the one that is installed."""
    package(project / "mine")
    other = package(tmp_path / "other" / "mine")
    found = editable(install, project, {"mine.pth": f"{project}\n"})
    assert places(found) == {"mine": project / "mine"}
    monkeypatch.syspath_prepend(str(other.parent))
    assert places(found) == {"mine": other}
