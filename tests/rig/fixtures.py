"""The fixtures of the emulated AWS: `rig`, `in_rig` and `job_image`."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.rig import machine
from tests.rig.machine import Rig


@pytest.fixture(scope="session")
def rig() -> Iterator[Rig]:
    """Start the emulated AWS; where it can't run, skip, and fail if this is CI."""
    reason = machine.why_not()
    if reason and os.environ.get("CI"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="rig-"))  # pytest's own paths are too long for a socket
    folder.chmod(0o755)
    try:
        with machine.running(folder) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def in_rig(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """Let this process, and those it starts, find the emulated AWS."""
    _enter(rig, monkeypatch)
    return rig


def _enter(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in rig.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def job_image(rig: Rig) -> str:
    """Build an image for jobs, with Dask and numpy: once, since it takes half a minute.

    It stays in the Docker engine of the rig, where Batch finds it, whatever happens to its
    repository.
    """
    from dask_knot.aws.images import ensure_image
    from dask_knot.aws.session import open_aws_session
    from dask_knot.image.image import ImageSpec

    with pytest.MonkeyPatch.context() as monkeypatch:
        _enter(rig, monkeypatch)
        session = open_aws_session()
        ecr = session.client("ecr")
        made = ecr.create_repository(repositoryName="job-image")["repository"]
        place = Place(made["repositoryUri"])
        image = ensure_image(session, place, ImageSpec(packages=(), network="host"), print)
        ecr.close()
    return image


@dataclass(frozen=True, slots=True)
class Place:
    """What `ensure_image` wants to know of a stack."""

    repository: str
    architecture: str = "amd64"
    bucket: str = "bucket"
    prefix: str = "knot"
    builder: str | None = None
