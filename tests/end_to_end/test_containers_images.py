"""Images of every kind are built for real, and jobs run in them.

They start from the image of the other tests, which has Dask already. It has no Debian behind it:
`apt-get` is a program of ours that notes what it is asked for.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dask
import pytest
from click.testing import CliRunner
from distributed import Client

from dask_knot import KnotCluster
from dask_knot.cli.main import knot
from tests.end_to_end.containers import SMALL, machine
from tests.rig.machine import Rig

__all__ = ["machine"]

pytestmark = pytest.mark.timeout(300)

DOCKERFILE = """\
FROM {image}
USER root
COPY root/ /
ENV OF_THE_DOCKERFILE=1
ENTRYPOINT ["false"]
"""
APT = """\
#!/bin/sh
echo "$@" >> /apt.log
"""
#: It builds itself: pip needs nothing more, from nowhere.
PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = """\
import zipfile
def build_wheel(folder, settings=None, metadata=None):
    name, info = "from_git-{version}-py3-none-any.whl", "from_git-{version}.dist-info"
    files = {{
        "from_git.py": "ANSWER = 42",
        f"{{info}}/METADATA": "Metadata-Version: 2.1\\nName: from-git\\nVersion: {version}\\n",
        f"{{info}}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        f"{{info}}/RECORD": "",
    }}
    with zipfile.ZipFile(f"{{folder}}/{{name}}", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return name
"""
#: Git wants to know of each commit whose it is.
WHO = {
    f"GIT_{role}_{what}": "ada" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}


@pytest.fixture
def folder(tmp_path: Path, job_image: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with a Dockerfile, a repository, requirements, and Dask's configuration."""
    monkeypatch.setattr(dask.config, "PATH", str(tmp_path / "config"))
    root = tmp_path / "root"
    (tmp_path / "Dockerfile").write_text(DOCKERFILE.format(image=job_image))
    (tmp_path / ".dockerignore").write_text("config\n")
    (root / "usr" / "bin").mkdir(parents=True)
    (root / "usr" / "bin" / "apt-get").write_text(APT)
    put_git(root)
    make_repository(root / "srv" / "from-git")
    (tmp_path / "more.txt").write_text("iniconfig  # as it is here\n")
    (tmp_path / "requirements.txt").write_text("# what is needed\n-r more.txt\n")
    return tmp_path


def put_git(root: Path) -> None:
    """Copy git with its libraries: the image has none."""
    program = shutil.which("git")
    assert program is not None
    shutil.copy(program, root / "usr" / "bin" / "git")
    (root / "usr" / "bin" / "git-upload-pack").write_text('#!/bin/sh\nexec git upload-pack "$@"\n')
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for library in re.findall(r"=> (/\S+)", listed):
        if "libc.so" not in library:
            shutil.copy(library, root / "usr" / "bin" / Path(library).name)


def make_repository(path: Path) -> None:
    """Make a repository of a package, whose tag v1 is not its newest commit."""

    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=path, env={**os.environ, **WHO}, check=True)

    path.mkdir(parents=True)
    git("init", "--quiet", "--initial-branch", "main")
    (path / "pyproject.toml").write_text(PROJECT)
    for number in ("1", "2"):
        (path / "backend.py").write_text(BACKEND.format(version=number))
        git("add", ".")
        git("commit", "--quiet", "--message", number)
        git("tag", f"v{number}")


def build(*arguments: str) -> str:
    """Run `dask knot image --local`, and give the image."""
    done = CliRunner().invoke(knot, ["image", "--local", "--network", "host", *arguments])
    assert done.exit_code == 0, done.output
    return done.output.splitlines()[-1]


def fail(*arguments: str) -> str:
    """Run `dask knot image --local`, which must fail, and give what it says."""
    done = CliRunner().invoke(knot, ["image", "--local", "--network", "host", *arguments])
    assert done.exit_code == 1
    return done.output


@pytest.fixture
def engine(machine: Rig) -> Iterator[Any]:
    """Give the Docker engine."""
    with closing(machine.docker()) as client:
        yield client


def test_an_own_dockerfile_with_all_that_can_be_asked_for(folder: Path, machine: Rig) -> None:
    options = {
        "--dockerfile": str(folder / "Dockerfile"),
        "--debian": "libgomp1",
        "--line": "ENV OF_A_LINE=2",
    }
    packages = ("git+file:///srv/from-git@v1", str(folder / "requirements.txt"))
    given = [word for pair in options.items() for word in pair]
    image = build(*given, *(word for one in packages for word in ("--package", one)))

    def look() -> dict[str, Any]:
        import os
        from importlib.metadata import version
        from pathlib import Path

        import from_git  # type: ignore[import-not-found]

        return {
            "answer": from_git.ANSWER,
            "versions": [version(name) for name in ("from-git", "iniconfig")],
            "apt": Path("/apt.log").read_text().splitlines(),
            "variables": [os.environ[name] for name in ("OF_THE_DOCKERFILE", "OF_A_LINE")],
        }

    with KnotCluster(engine="docker", image=image, **SMALL) as cluster, Client(cluster) as client:
        found = client.submit(look).result()
    assert found["answer"] == 42
    assert found["versions"] == ["1", version("iniconfig")]
    assert found["apt"] == ["update", "install -y --no-install-recommends libgomp1 git"]
    assert found["variables"] == ["1", "2"]


def test_an_own_base(
    job_image: str, engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask.config, "PATH", str(tmp_path / "config"))
    image = build("--base", job_image, "--package", "dask")
    layers, base = (engine.images.get(one).attrs["RootFS"]["Layers"] for one in (image, job_image))
    assert layers[: len(base)] == base
    with KnotCluster(engine="docker", image=image, **SMALL) as cluster, Client(cluster) as client:
        assert client.submit(sum, [1, 2]).result() == 3


def test_a_git_reference_that_is_not_there_is_named(folder: Path, machine: Rig) -> None:
    arguments = ("--dockerfile", str(folder / "Dockerfile"), "--package")
    said = fail(*arguments, "git+file:///srv/from-git@no-such-tag")
    assert "this line of its Dockerfile failed" in said
    assert "no-such-tag" in said
