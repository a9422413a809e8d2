"""When an image is pushed to the repository of a stack, and what is said when that fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import boto3
import pytest
from moto import mock_aws

from dask_knot.aws import images
from dask_knot.aws.builds import BuildOrder
from dask_knot.aws.images import ensure_image
from dask_knot.aws.session import AwsSession
from dask_knot.errors import AwsError, ImageError
from dask_knot.image.builder import connect_to_builder
from dask_knot.image.image import make_recipe
from dask_knot.image.spec import ImageSpec
from tests.aws.engines import FakeDocker

SPEC = ImageSpec(packages=())
MANIFEST = '{"schemaVersion": 2, "mediaType": "x", "layers": [{"digest": "sha256:1", "size": 1}]}'


@dataclass(frozen=True)
class Place:
    """A repository, for one architecture."""

    repository: str
    architecture: str = "amd64"
    bucket: str = "bucket"
    prefix: str = "knot"
    builder: str | None = None


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsSession]:
    """Open a session with an AWS inside this process."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield AwsSession(boto3.Session(region_name="us-east-1"))


@pytest.fixture
def place(session: AwsSession) -> Place:
    """Make a repository."""
    made = session.client("ecr").create_repository(repositoryName="jobs")
    return Place(made["repository"]["repositoryUri"])


def say_nothing(line: str) -> None:
    pass


def no_engine() -> NoReturn:
    raise ImageError("no Docker engine")


def test_builds_and_pushes_what_is_not_there(session: AwsSession, place: Place) -> None:
    docker, said = FakeDocker(), list[str]()
    image = ensure_image(session, place, SPEC, said.append, lambda: docker)
    (built,), (pushed,) = docker.built, docker.pushed
    assert built["tag"] == image
    assert image.startswith(f"{place.repository}:py3.")
    assert built["platform"] == "linux/amd64"
    assert built["network_mode"] is None
    assert pushed["repository"] == place.repository
    assert f"{pushed['repository']}:{pushed['tag']}" == image
    assert pushed["auth_config"] == {"username": "AWS", "password": "123456789012-auth-token"}
    assert docker.is_closed
    assert any("Step 1/1" in line for line in said)


def test_needs_no_docker_for_what_is_there(session: AwsSession, place: Place) -> None:
    tag = make_recipe(replace(SPEC, platform="linux/amd64"), say_nothing).tag
    session.client("ecr").put_image(repositoryName="jobs", imageManifest=MANIFEST, imageTag=tag)
    image = ensure_image(session, place, SPEC, say_nothing, no_engine)
    assert image == f"{place.repository}:{tag}"


def test_pushes_what_is_built_already(session: AwsSession, place: Place) -> None:
    docker = FakeDocker()
    first = ensure_image(session, place, SPEC, say_nothing, lambda: docker)
    assert ensure_image(session, place, SPEC, say_nothing, lambda: docker) == first
    assert len(docker.built) == 1
    assert len(docker.pushed) == 2


def test_follows_the_architecture_of_the_stack(session: AwsSession, place: Place) -> None:
    docker, spec = FakeDocker(), replace(SPEC, platform="linux/amd64")
    image = ensure_image(
        session, replace(place, architecture="arm64"), spec, say_nothing, lambda: docker
    )
    assert docker.built[0]["platform"] == "linux/arm64"
    assert "-arm64-" in image


def test_takes_a_ready_image_as_it_is(session: AwsSession, place: Place) -> None:
    spec = replace(SPEC, image="example.com/mine:1")
    assert ensure_image(session, place, spec, say_nothing, no_engine) == "example.com/mine:1"


def test_names_the_cure_for_a_missing_repository(session: AwsSession) -> None:
    place = Place("123456789012.dkr.ecr.us-east-1.amazonaws.com/gone")
    with pytest.raises(ImageError, match="dask knot up"):
        ensure_image(session, place, SPEC, say_nothing, no_engine)


def test_without_docker_it_is_built_in_the_account_if_the_stack_can(
    session: AwsSession, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[BuildOrder] = []
    said: list[str] = []

    def build(session: Any, outputs: Any, order: BuildOrder, report: Any) -> None:
        orders.append(order)

    monkeypatch.setattr(images, "build_in_account", build)
    able = replace(place, builder="a-builder")
    image = ensure_image(session, able, SPEC, said.append, no_engine)
    assert [order.name for order in orders] == [image]
    assert any("no Docker engine here" in line for line in said)
    ensure_image(session, able, replace(SPEC, remote=True), say_nothing, unasked)
    assert len(orders) == 2
    with pytest.raises(ImageError, match="no Docker engine"):
        ensure_image(session, able, replace(SPEC, remote=False), say_nothing, no_engine)


def unasked() -> NoReturn:
    raise AssertionError("a Docker engine is looked for")


def test_an_older_stack_can_not_build(session: AwsSession, place: Place) -> None:
    with pytest.raises(ImageError, match=r"dask knot up.*again"):
        ensure_image(session, place, replace(SPEC, remote=True), say_nothing, unasked)
    with pytest.raises(ImageError, match="no Docker engine"):
        ensure_image(session, place, SPEC, say_nothing, no_engine)


def test_who_has_no_docker_is_offered_to_build_in_the_account(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with pytest.raises(ImageError, match="dask knot image --remote"):
        connect_to_builder()


def test_other_registries_are_reached_with_dockers_own_login(session: AwsSession) -> None:
    place, docker = Place("ghcr.io/me/jobs"), FakeDocker()
    image = ensure_image(session, place, SPEC, say_nothing, lambda: docker)
    assert docker.pushed[0]["auth_config"] is None
    docker.elsewhere.add(image)
    assert ensure_image(session, place, SPEC, say_nothing, lambda: docker) == image
    assert len(docker.pushed) == 1


def test_what_aws_refuses_is_ours(place: Place) -> None:
    class Refusing:
        def describe_images(self, **_: Any) -> NoReturn:
            from botocore.exceptions import ClientError

            answer = {"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}
            raise ClientError(answer, "DescribeImages")  # type: ignore[arg-type]

    class RefusedSession:
        def client(self, _: str) -> Refusing:
            return Refusing()

    with pytest.raises(AwsError):
        ensure_image(RefusedSession(), place, SPEC, say_nothing, no_engine)  # type: ignore[arg-type]


def test_a_refused_push_is_an_error(session: AwsSession, place: Place) -> None:
    docker = FakeDocker(push_answers=[{"error": "denied: not you"}])
    with pytest.raises(ImageError, match=r"denied: not you.*policy --user"):
        ensure_image(session, place, SPEC, say_nothing, lambda: docker)
    assert docker.is_read


def test_progress_of_a_push_is_said_in_tenths(session: AwsSession, place: Place) -> None:
    steps = [
        {"id": "a", "progressDetail": {"current": done * 10**4, "total": 10**7}}
        for done in range(1001)
    ]
    docker, said = FakeDocker(push_answers=steps), list[str]()
    ensure_image(session, place, SPEC, said.append, lambda: docker)
    assert len([line for line in said if line.startswith("pushing:")]) == 11
