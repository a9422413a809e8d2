"""Environments of other tools than pip, each built into a real image, and run on the emulated AWS.

The images start from that of the other tests, which has Dask already.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client

from dask_knot import KnotCluster
from tests.end_to_end.containers import account, machine, open_aws, settings
from tests.rig.machine import Rig

__all__ = ["account", "machine", "open_aws", "settings"]

pytestmark = pytest.mark.timeout(300)

PYPROJECT = """\
[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
[project]
name = "{name}"
version = "1.0+of.mine"
dependencies = ["iniconfig"]
[project.entry-points."knot.tests"]
answer = "{module}.inner:answer"
[tool.poetry]
packages = [{{include = "{module}", from = "src"}}]
"""
MODULES = {
    "__init__.py": "from .inner import answer\n",
    "inner.py": """\
from importlib.resources import files
def answer():
    import iniconfig
    return files(__package__).joinpath("data/answer.txt").read_text(), iniconfig.__name__
""",
    "data/answer.txt": "42",
}
SCRIPT = """\
import sys
import my_copy, my_private
import dask
from distributed import Client
from dask_knot import KnotCluster

def look():
    from importlib.metadata import entry_points, version
    import my_copy, my_private
    answers = [point.load()() for point in entry_points(group="knot.tests")]
    return answers, my_private.answer(), version("my-copy"), my_copy.__file__

if __name__ == "__main__":
    build = {"base": sys.argv[1], "network": "host"}
    with dask.config.set({"knot.build": build}):
        settings = {"engine": "aws", "jobs": 1, "memory": "400 MiB", "dashboard_address": None}
        with KnotCluster(**settings) as cluster, Client(cluster) as client:
            print(client.submit(look).result())
"""
WHO = {f"GIT_{role}_{what}": "x" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def write_project(folder: Path, name: str) -> Path:
    """Write a project of poetry's, with a package below ``src``."""
    module = name.replace("-", "_")
    for path, text in MODULES.items():
        file = folder / "src" / module / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (folder / "pyproject.toml").write_text(PYPROJECT.format(name=name, module=module))
    return folder


def in_git(folder: Path) -> str:
    """Put a folder into a repository that no build can reach."""
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", *command], cwd=folder, env={**os.environ, **WHO}, check=True)
    return f"git+{folder.as_uri()}"


def test_a_venv_of_uvs_with_a_working_copy_of_poetrys_and_a_private_repository(
    account: Any, job_image: str, tmp_path: Path
) -> None:
    """A working copy goes in as it is here, and so does what no key in a build could fetch."""
    venv = tmp_path / "venv"
    copy = write_project(tmp_path / "copy", "my-copy")
    private = in_git(write_project(tmp_path / "private", "my-private"))

    def uv(*arguments: str) -> None:
        command = [sys.executable, "-m", "uv", "--quiet", *arguments]
        subprocess.run(command, cwd=tmp_path, check=True)

    uv("venv", "--python", sys.executable, str(venv))
    python = str(venv / "bin" / "python")
    # Dask and what else is needed is that of this environment.
    site = next((venv / "lib").glob("python*")) / "site-packages"
    (site / "others.pth").write_text("\n".join(path for path in sys.path if path))
    names = ["-e", str(copy), f"my-private @ {private}"]
    uv("pip", "install", "--python", python, "--no-deps", "--no-build-isolation", *names)

    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([python, str(script), job_image], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = "[('42', 'iniconfig'), ('42', 'iniconfig')], ('42', 'iniconfig'), '1.0+of.mine'"
    assert told in done.stdout
    assert str(tmp_path) not in done.stdout.splitlines()[-1]


#: Makes an environment of the Python that is there, and keeps the list that it was asked for.
MICROMAMBA = """
import os, shutil, sys
if sys.argv[1] == "create":
    _, _, _, _, prefix, _, listed = sys.argv
    os.makedirs(prefix + "/bin")
    os.symlink(sys.executable, prefix + "/bin/python")
    shutil.copy(listed, "/micromamba.txt")
"""
#: Installs it: what the image starts from has no more than Python.
INSTALL = """
import os, sys
with open("/usr/local/bin/micromamba", "w") as file:
    file.write("#!" + sys.executable + {text!r})
os.chmod(file.name, 0o755)
"""


@pytest.fixture
def conda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an environment of conda's: what it says of packages, which are really installed."""
    prefix = tmp_path / "conda"
    site = prefix / "lib" / "python3" / "site-packages"
    (prefix / "conda-meta").mkdir(parents=True)
    for name in ("iniconfig", "joblib"):
        package = distribution(name)
        for file in package.files or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(package.locate_file(file)), site / file)
        (info,) = site.glob(f"{name}-*.dist-info")
        (info / "INSTALLER").write_text("conda\n")
        work = f"file:///home/conda/feedstock_root/build_artifacts/{name}_1700000000000/work"
        (info / "direct_url.json").write_text(json.dumps({"url": work, "dir_info": {}}))
        url = f"https://conda.example/conda-forge/noarch/{name}-{package.version}-0.conda"
        told = {"name": name, "version": package.version, "depends": ["mkl"], "files": []}
        record = {**told, "url": url, "md5": "0a", "subdir": "noarch"}
        file = prefix / "conda-meta" / f"{name}-{package.version}-0.json"
        file.write_text(json.dumps(record))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(sys, "prefix", str(prefix))
    return prefix


def test_an_environment_of_condas(
    open_aws: Callable[..., KnotCluster], job_image: str, conda: Path
) -> None:
    def look() -> list[str]:

        return [version(name) for name in ("iniconfig", "joblib")]

    build = {"packages": ["joblib", "iniconfig"], "base": job_image, "network": "host"}
    with dask.config.set({"knot.build": build}), open_aws() as cluster, Client(cluster) as client:
        assert client.submit(look).result() == look()


def test_condas_packages_from_conda(job_image: str, conda: Path, machine: Rig) -> None:
    """Conda itself can't be had here: a program of ours stands for micromamba."""
    program = INSTALL.format(text=f"\n{MICROMAMBA}")
    lines = f"USER root\nRUN {json.dumps(['python', '-c', program])}\n"
    with closing(machine.docker()) as engine:
        file = io.BytesIO(f"FROM {job_image}\n{lines}".encode())
        engine.images.build(fileobj=file, tag="with-micromamba:1", network_mode="host")

    def list_of_conda() -> tuple[list[str], str]:
        return Path("/micromamba.txt").read_text().splitlines(), sys.executable

    asked = {"packages": ["joblib", "iniconfig"], "conda": "here", "base": "with-micromamba:1"}
    settings = {"engine": "docker", "jobs": 1, "memory": "400 MiB", "dashboard_address": None}
    with (
        dask.config.set({"knot.build": {**asked, "network": "host"}}),
        KnotCluster(**settings) as cluster,
        Client(cluster) as client,
    ):
        found, executable = client.submit(list_of_conda).result()
    assert found[0] == "@EXPLICIT"
    assert [line.rpartition("/")[2].partition("-")[0] for line in found[1:]] == [
        "iniconfig",
        "joblib",
    ]
    assert executable.startswith("/opt/conda-knot/bin/")
