"""Working copies, installed by the real build backends: what is imported here goes into a wheel."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from dask_knot.environment.contents import tops
from dask_knot.environment.distributions import find
from dask_knot.environment.origins import OriginKind, origin_of
from dask_knot.environment.target import Target, this_platform
from dask_knot.environment.wheel import make_wheel, why_no_wheel

HERE = Target(this_platform(), system="linux")
PROJECT = """\
[build-system]
requires = []
build-backend = "{backend}"
[project]
name = "my-own"
version = "1.0+local.3"
description = "mine"
[project.scripts]
my-own = "my_own.inner:main"
[project.entry-points."some.group"]
one = "my_own.inner:main"
"""
BACKENDS = (
    "hatchling.build",
    "poetry.core.masonry.api",
    "flit_core.buildapi",
    "pdm.backend",
    "setuptools.build_meta",
)
#: As pip does it: the hook makes a wheel, which is unpacked among the installed packages.
BUILD = "import sys, {module} as backend; print(backend.build_editable(sys.argv[1]))"


def write(project: Path, backend: str, root: Path) -> None:
    """Write a project as people have them: a package with data, and tests beside it."""
    files = {
        root / "my_own" / "__init__.py": "from my_own.inner import ANSWER\n",
        root / "my_own" / "inner.py": "ANSWER = 42\ndef main(): pass\n",
        root / "my_own" / "data" / "table.csv": "1,2\n",
        project / "pyproject.toml": PROJECT.format(backend=backend),
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def install(project: Path, backend: str, site: Path, tmp_path: Path) -> None:
    """Let a backend install a project so that it can be edited."""
    built = tmp_path / "built"
    built.mkdir()
    command = [sys.executable, "-c", BUILD.format(module=backend), str(built)]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (info,) = site.glob("my_own-*.dist-info")
    told = f'{{"url": "{project.as_uri()}", "dir_info": {{"editable": true}}}}'
    (info / "direct_url.json").write_text(told)


@pytest.mark.parametrize("is_src", [True, False], ids=["src", "flat"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_working_copy_goes_in_as_a_wheel(
    backend: str, is_src: bool, site: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    write(project, backend, project / "src" if is_src else project)
    if not is_src:  # each backend finds it by its own rules
        (project / "tests").mkdir()
        (project / "tests" / "__init__.py").write_text("")
    install(project, backend, site, tmp_path)
    package = find("my-own")
    assert package is not None
    assert origin_of(package).kind is OriginKind.EDITABLE
    assert tops(package) == {"my_own"}
    assert why_no_wheel(package, HERE) == ""
    wheel = make_wheel(package, HERE)
    assert wheel.name == "my_own-1.0+local.3-py3-none-any.whl"
    with zipfile.ZipFile(io.BytesIO(wheel.content)) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        points = archive.read("my_own-1.0+local.3.dist-info/entry_points.txt").decode()
    assert names == {"my_own/__init__.py", "my_own/inner.py", "my_own/data/table.csv"}
    assert "some.group" in points
    assert "console_scripts" in points
