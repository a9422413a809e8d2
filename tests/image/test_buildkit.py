"""Docker's own command, where it has BuildKit: what it is told, and what of it nobody can read."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from dask_knot.errors import ImageError
from dask_knot.image import buildkit
from dask_knot.image.builder import build
from dask_knot.image.dockerfile import Recipe
from dask_knot.image.endpoints import Endpoint
from dask_knot.image.secrets import BuildSecrets
from tests.aws.engines import FakeDocker

#: Answers as the command does, and writes down what it was told.
COMMAND = """\
#!{python}
import json, os, sys
words = sys.argv[1:]
if words == ["--version"]:
    print("Docker version {version}, build 1")
elif words == ["buildx", "version"]:
    sys.exit(0 if {buildx} and not print("github.com/docker/buildx v0.20") else 1)
else:
    told = dict(words=words, variables=dict(os.environ), bytes=len(sys.stdin.buffer.read()))
    open({told!r}, "w").write(json.dumps(told))
    print({says!r})
    sys.exit({code})
"""
SECRETS = BuildSecrets(
    environment={"PIP_INDEX_URL": "https://me:s3cr3t@a/"},
    proxies={"HTTPS_PROXY": "http://me:s3cr3t@p:1"},
    words=frozenset({"s3cr3t"}),
)
RECIPE = Recipe(
    python="3.11", platform="linux/amd64", wheels={"a-1-py3-none-any.whl": b""}, secrets=SECRETS
)


class Engine(FakeDocker):
    """Docker's, as it is found by its socket."""

    endpoint = Endpoint("unix:///engine.sock", "rootless Docker")


class Podman(Engine):
    """An engine that answers like Docker's."""

    def version(self) -> dict[str, Any]:
        return {"Components": [{"Name": "Podman Engine"}]}


def command(folder: Path, **options: Any) -> Path:
    """Write a command `docker`; give the file where it notes what it was told."""
    folder.mkdir(parents=True, exist_ok=True)
    told = folder / "told.json"
    values = {"version": "28.2.2", "buildx": True, "says": "", "code": 0, **options}
    program = folder / "docker"
    program.write_text(COMMAND.format(python=sys.executable, told=str(told), **values))
    program.chmod(0o755)
    return told


@pytest.mark.parametrize(
    ("commands", "words"),
    [
        ([{}], ("one/docker", "buildx", "build", "--builder", "default", "--load")),
        ([{"version": "20.10.24+dfsg1", "buildx": False}], ("one/docker", "build")),
        ([{"buildx": False}, {"version": "20.10.1", "buildx": False}], ("two/docker", "build")),
        ([{"buildx": False}], None),
        ([], None),
    ],
)
def test_the_first_command_that_can_is_taken(
    commands: list[dict[str, Any]], words: tuple[str, ...] | None, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder, options in zip(folders, commands, strict=False):
        command(folder, **options)
    environ = {"PATH": os.pathsep.join(map(str, folders))}
    found = buildkit.find(Engine(), environ)
    assert (found is None) == (words is None)
    if found is not None and words is not None:
        assert found.words == (str(tmp_path / words[0]), *words[1:])
        assert found.variables["DOCKER_HOST"] == "unix:///engine.sock"
    assert buildkit.find(Podman(), environ) is None


def test_no_process_can_read_the_secrets_from_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = command(tmp_path, says="#1 [1/1] RUN x\n#1 0.1 found https://me:s3cr3t@a/\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONTEXT", "another")
    said: list[str] = []
    build(Engine(), RECIPE, "name:1", "host", said.append)
    told = json.loads(file.read_text())
    assert "s3cr3t" not in repr([told["words"], said])
    assert f"id=dask-knot,env={buildkit.VARIABLE}" in told["words"]
    assert told["variables"][buildkit.VARIABLE] == SECRETS.document()
    assert "HTTPS_PROXY" in told["words"]
    assert told["variables"]["HTTPS_PROXY"] == SECRETS.proxies["HTTPS_PROXY"]
    assert "DOCKER_CONTEXT" not in told["variables"]
    assert told["words"][-1] == "-"
    assert told["bytes"] > 0
    assert said[-1] == "  found https://****@a/"


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ("#1 [1/1] RUN x\n#1 ERROR: s3cr3t", r"failed:\n  RUN x\n\*\*\*\*\nFix"),
        ("permission denied s3cr3t", r"exit code 3\): permission denied \*\*\*\*"),
    ],
)
def test_its_failures_are_told_without_them(
    says: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command(tmp_path, says=says, code=3)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImageError, match=words):
        build(Engine(), RECIPE, "name:1", None, lambda line: None)


def test_without_secrets_and_demands_it_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, engine = command(tmp_path), Engine()
    monkeypatch.setenv("PATH", str(tmp_path))
    plain = Recipe(python="3.11", platform="linux/amd64", wheels=RECIPE.wheels)
    build(engine, plain, "name:1", None, lambda line: None)
    assert len(engine.built) == 1
    assert not file.exists()
    mounts = Recipe(
        python="3.11", platform="linux/amd64", wheels=RECIPE.wheels, lines=("RUN --mount=x y",)
    )
    build(engine, mounts, "name:2", None, lambda line: None)
    assert len(engine.built) == 1
    assert "--secret" not in json.loads(file.read_text())["words"]
