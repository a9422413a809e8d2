"""The engine "docker" is opened, or says at once why it can't be."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback

import pytest
from docker.errors import DockerException, ImageNotFound

from dask_knot.errors import EngineError
from dask_knot.local.containers import check_image, connect


class FakeEngine:
    """A Docker engine that has every image, or refuses."""

    def __init__(self) -> None:
        self.images = self
        self.error: Exception | None = None

    def get(self, image: str) -> object:
        if self.error is not None:
            raise self.error
        return object()


def test_a_missing_image_is_said_at_once() -> None:
    engine = FakeEngine()
    check_image(engine, "image:1")
    engine.error = ImageNotFound("no")
    with pytest.raises(EngineError, match=r"'image:1' is not on this machine.*docker pull"):
        check_image(engine, "image:1")
    engine.error = DockerException("gone")
    with pytest.raises(EngineError, match="can't be asked"):
        check_image(engine, "image:1")


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("tcp://127.0.0.1:1", "refused"),
        ("nonsense", "Invalid bind address"),
    ],
)
def test_a_missing_engine_is_said_at_once_and_shortly(
    host: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(EngineError, match=rf"needs a Docker engine.*{reason}.*'local'") as caught:
        connect()
    assert "\n" not in str(caught.value)
    # Nobody wants to read how three libraries handed it on.
    printed = traceback.format_exception(caught.value)
    assert len([line for line in printed if line.startswith("Traceback")]) == 1


def test_a_cluster_without_an_engine_is_not_opened() -> None:
    # In another process: the Docker SDK leaves a socket open here.
    done = subprocess.run(
        [sys.executable, "-c", "import dask_knot; dask_knot.KnotCluster(engine='docker')"],
        env={**os.environ, "DOCKER_HOST": "unix:///nowhere/docker.sock"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    last = done.stderr.splitlines()[-1]
    assert "EngineError: engine='docker' needs a Docker engine, and none answers: " in last
    assert "No such file" in last
