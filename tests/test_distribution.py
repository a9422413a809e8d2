"""What is uploaded: built without a network, looked into, and installed out of our sight."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, cwd: Path) -> str:
    """Run a program that sees nothing of this clone, and give what it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist of this clone, and the wheel of that, with the setuptools that is here."""
    folder = tmp_path_factory.mktemp("dist")
    code = "import sys, setuptools.build_meta as b; b.build_{}(sys.argv[1])"
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False, text=True
    )
    if files.returncode:
        pytest.skip("this is no clone")
    clone = folder / "clone"
    for name in filter(None, files.stdout.split("\0")):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            (clone / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-c", code.format("sdist"), folder, cwd=clone)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    unpacked = folder / sdist.name.removesuffix(".tar.gz")
    run(sys.executable, "-c", code.format("wheel"), folder, cwd=unpacked)
    return folder


def test_the_sdist_has_all_that_the_clone_has(built: Path) -> None:
    (unpacked,) = built.glob("dask_knot-*[0-9]")
    tracked = {str(one.relative_to(built / "clone")) for one in (built / "clone").rglob("*")}
    packed = {str(one.relative_to(unpacked)) for one in unpacked.rglob("*")}
    left = {one for one in tracked - packed if ".egg-info" not in one and one[:5] != "build"}
    assert left <= {".gitignore"}
    assert {"tests/conftest.py", "docs/index.md", "examples/pi.py", "CITATION.cff"} <= packed


def test_the_wheel_has_the_package_only(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"dask_knot"}
    assert {f"dask_knot/{one}" for one in ("knot.yaml", "py.typed", "prices/prices.json.gz")} <= {
        *names
    }
    sources = {str(one.relative_to(ROOT)) for one in (ROOT / "dask_knot").rglob("*.py")}
    assert sources <= {*names}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_metadata_of_the_wheel(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
    text = archive.read(name).decode()
    assert "License-Expression: BSD-3-Clause\n" in text
    assert "Project-URL: Documentation, https://dask-knot.readthedocs.io\n" in text
    assert "Description-Content-Type: text/markdown\n" in text


def test_a_wheel_that_is_installed_computes_pi(built: Path, tmp_path: Path) -> None:
    """In an environment of its own; what it requires is that of this one."""
    (wheel,) = built.glob("*.whl")
    place = tmp_path / "venv"
    venv.create(place, symlinks=True)
    site = place / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    run(*install, "--target", site, wheel, cwd=tmp_path)
    # Behind the wheel, without the .pth files there, which would show this clone.
    (site / "below.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    (tmp_path / "pi.py").write_bytes((ROOT / "examples/pi.py").read_bytes())
    python = place / "bin/python"
    where = run(python, "-c", "import dask_knot; print(dask_knot.__file__)", cwd=tmp_path)
    assert where.startswith(str(place))
    assert "pi ≈ 3.1" in run(python, "pi.py", "--tasks", "10", cwd=tmp_path)
    said = run(python, "-m", "dask", "knot", "--version", cwd=tmp_path)
    assert version("dask_knot") in said
