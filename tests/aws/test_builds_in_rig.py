"""Images are built in the emulated account, for real: no Docker engine answers the client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from dask_knot.aws.images import ensure_image
from dask_knot.aws.options import StackOptions
from dask_knot.aws.outputs import StackOutputs
from dask_knot.aws.session import AwsSession, open_aws_session
from dask_knot.aws.stack import up
from dask_knot.errors import ImageError
from dask_knot.image.spec import ImageSpec
from tests.aws.account import unheard
from tests.rig.machine import Rig
from tests.rig.server.images import AS_CONFIG

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def session(in_rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsSession]:
    in_rig.reset()
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with closing(open_aws_session()) as session:
        yield session
    in_rig.reset()


@pytest.fixture
def outputs(session: AwsSession) -> StackOutputs:
    return up(session, StackOptions(), unheard)


@pytest.fixture
def spec(job_image: str) -> ImageSpec:
    return ImageSpec(packages=(), network="host", base=job_image)


def left(session: AwsSession, outputs: StackOutputs) -> list[str]:
    """Name what builds have left in the bucket."""
    found = session.client("s3").list_objects_v2(Bucket=outputs.bucket)
    return [one["Key"] for one in found.get("Contents", ())]


def test_an_image_is_built_and_pushed(
    session: AwsSession, outputs: StackOutputs, spec: ImageSpec, in_rig: Rig
) -> None:
    said: list[str] = []
    image = ensure_image(session, outputs, spec, said.append)
    assert "no Docker engine answers here: the image is built in the account" in said
    assert any("RUN python -m pip install" in line for line in said), said
    assert left(session, outputs) == []
    with closing(in_rig.docker()) as docker:
        docker.images.remove(image, force=True, noprune=True)
        docker.images.pull(image, auth_config=AS_CONFIG)
    assert ensure_image(session, outputs, spec, said.append) == image
    assert said[-1].endswith("is there already")


def test_a_line_that_fails_is_shown(
    session: AwsSession, outputs: StackOutputs, spec: ImageSpec
) -> None:
    failing = replace(spec, lines=("RUN echo something-printed && false",), remote=True)
    with pytest.raises(ImageError, match=r"RUN echo something-printed && false\n +something-pr"):
        ensure_image(session, outputs, failing, print)
    assert left(session, outputs) == []
