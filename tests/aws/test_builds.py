"""A build in the account: begun, followed and ended, and what is said when it fails."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from dask_knot.aws import buildobjects, builds
from dask_knot.aws.builds import BuildOrder, build_in_account
from dask_knot.aws.buildscript import BUILDING, DONE, PUSHING
from dask_knot.errors import AccessError, ImageError, KnotError, QuotaError, UnreachableError
from dask_knot.image.dockerfile import Recipe
from tests.aws.account import account, sign_in
from tests.aws.builders import ID, BuilderSession, FakeBuilds, FakeLogs, build, busy
from tests.aws.formation import refusal

RECIPE = Recipe(python="3.12", platform="linux/amd64", wheels={"a-1-py3-none-any.whl": b"wheel"})
NAME = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/jobs:tag"
FOLDER = f"knot/_builds/{RECIPE.tag}"
GOOD = (
    "[Container] 2026/01/01 Running command aws s3 cp",
    BUILDING,
    "#5 [ 2/3] RUN pip install",
    "#5 1.0 Collecting dask",
    "#5 DONE 2.0s",
    PUSHING,
    NAME,
    DONE,
)
BAD = (
    BUILDING,
    "#5 [2/3] RUN echo lost && false",
    "#5 1.0 lost",
    '#5 ERROR: process "/bin/sh -c echo lost && false" did not complete successfully: exit code: 1',
    "ERROR: failed to solve: process did not complete successfully",
)


@dataclass(frozen=True)
class Place:
    """A stack."""

    bucket: str = "bucket"
    prefix: str = "knot"
    builder: str | None = "dask-knot-builder"


@dataclass
class Desk:
    """An account with a bucket, and what was said."""

    s3: Any
    said: list[str] = field(default_factory=list)
    paused: list[float] = field(default_factory=list)
    place: Place = Place()

    def build(
        self, made: FakeBuilds, *portions: tuple[str, ...], recipe: Recipe = RECIPE
    ) -> BuilderSession:
        """Build, with a log that comes in portions."""
        session = BuilderSession(self.s3, made, FakeLogs(list(portions)))
        order = BuildOrder(recipe, NAME)
        build_in_account(session, self.place, order, self.said.append, self.paused.append)  # type: ignore[arg-type]
        return session

    def keys(self) -> list[str]:
        """Name the objects."""
        found = self.s3.list_objects_v2(Bucket="bucket").get("Contents", ())
        return [one["Key"] for one in found]

    def note(self) -> None:
        """Leave the note of a build that somebody has begun."""
        self.s3.put_object(Bucket="bucket", Key=f"{FOLDER}/build", Body=ID.encode())


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    sign_in(monkeypatch)
    with account() as session:
        s3 = session.client("s3")
        place = {"LocationConstraint": "eu-west-1"}
        s3.create_bucket(Bucket="bucket", CreateBucketConfiguration=place)
        yield Desk(s3)


def test_a_build_is_followed_to_its_end(desk: Desk) -> None:
    made = FakeBuilds([build(phase="PROVISIONING", logs={}), build(), build("SUCCEEDED")])
    session = desk.build(made, GOOD[:4], GOOD[4:])
    (request,) = made.started
    (variable,) = request["environmentVariablesOverride"]
    assert variable["value"].startswith(f"bucket/{FOLDER}/")
    assert request["idempotencyToken"] == variable["value"].rpartition("/")[2]
    assert "[ 2/3] RUN pip install" in desk.said
    assert "  Collecting dask" in desk.said
    assert not any("[Container]" in line or "###" in line for line in desk.said)
    assert desk.keys() == []
    assert session.is_closed


def test_the_build_gets_all_that_the_image_is_made_of(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads = kept_uploads(desk, monkeypatch)
    desk.build(FakeBuilds(), GOOD)
    (source,) = uploads.values()
    with tarfile.open(fileobj=io.BytesIO(source)) as tar:
        names = set(tar.getnames())
    expected = {"Dockerfile", "a-1-py3-none-any.whl"}
    assert {"build.sh", *(f"context/dask-knot/{name}" for name in expected)} <= names


def kept_uploads(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Keep what is uploaded, which is deleted later."""
    kept: dict[str, bytes] = {}
    upload = desk.s3.upload_fileobj

    def keep(data: io.BytesIO, bucket: str, key: str, **more: Any) -> None:
        kept[key] = data.getvalue()
        upload(data, bucket, key, **more)

    monkeypatch.setattr(desk.s3, "upload_fileobj", keep)
    return kept


def test_the_line_that_failed_is_shown(desk: Desk) -> None:
    failed = FakeBuilds([build(), build("FAILED")])
    with pytest.raises(ImageError, match=r"RUN echo lost && false\n    lost\n"):
        desk.build(failed, BAD)
    assert desk.keys() == []


def test_lines_that_come_after_the_end_of_the_build_are_waited_for(desk: Desk) -> None:
    with pytest.raises(ImageError, match="RUN echo lost"):
        desk.build(FakeBuilds([build("FAILED")]), BAD[:2], (), (), BAD[2:])


def test_a_new_account_may_build_nothing(desk: Desk) -> None:
    with pytest.raises(QuotaError, match=r"new account.*Service Quotas"):
        desk.build(FakeBuilds(refusals=[busy(0)]))
    assert desk.keys() == []
    assert desk.paused == []


def test_builds_of_others_are_waited_for(desk: Desk) -> None:
    desk.build(FakeBuilds(refusals=[busy(1), busy(1)]), GOOD)
    assert desk.paused[:2] == [builds.BUSY_PAUSE] * 2
    assert any("waiting for one to finish" in line for line in desk.said)


def test_an_account_that_stays_busy_is_an_error(desk: Desk) -> None:
    with pytest.raises(QuotaError, match="try again later"):
        desk.build(FakeBuilds(refusals=[busy(1)] * builds.BUSY_TRIES))


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (refusal("no project", "ResourceNotFoundException"), ImageError, "dask knot up"),
        (
            refusal(
                "User: ada is not authorized to perform: codebuild:StartBuild",
                "AccessDeniedException",
            ),
            AccessError,
            "lack permission for codebuild:StartBuild",
        ),
    ],
    ids=["gone", "forbidden"],
)
def test_a_build_that_can_not_start(
    desk: Desk, error: Exception, kind: type[KnotError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        desk.build(FakeBuilds(refusals=[error]))
    assert desk.keys() == []


def test_a_stack_without_a_project_says_what_to_do(desk: Desk) -> None:
    desk.place = Place(builder=None)
    with pytest.raises(ImageError, match=r"dask knot up.*--remote-build"):
        desk.build(FakeBuilds())


def test_the_build_of_somebody_else_is_followed(desk: Desk) -> None:
    desk.note()
    made = FakeBuilds([build(), build(), build("SUCCEEDED")])
    desk.build(made, GOOD)
    assert made.started == []
    assert desk.said[0].startswith(f"{ID} is already building this image")
    assert desk.keys() == [f"{FOLDER}/build"]  # theirs to delete


@pytest.mark.parametrize("look", [build("FAILED"), None], ids=["ended", "unknown"])
def test_a_note_that_a_client_left_holds_nobody_up(desk: Desk, look: Any) -> None:
    desk.note()
    made = FakeBuilds([look, build("SUCCEEDED")])
    desk.build(made, GOOD)
    assert len(made.started) == 1
    assert desk.keys() == []


def test_what_killed_clients_left_is_deleted_after_a_day(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.s3.put_object(Bucket="bucket", Key="knot/_builds/another-tag/1.secrets", Body=b"token")
    desk.s3.put_object(Bucket="bucket", Key="knot/run-1/value", Body=b"a result")
    desk.build(FakeBuilds(), GOOD)
    assert len(desk.keys()) == 2, "another client may be about to build it"
    monkeypatch.setattr(buildobjects, "OLD", -timedelta(days=1))
    desk.build(FakeBuilds(), GOOD)
    assert desk.keys() == ["knot/run-1/value"]


def test_an_interrupt_ends_the_build(desk: Desk) -> None:
    made = FakeBuilds([build(), KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        desk.build(made, GOOD[:3])
    assert made.stopped == [ID]
    assert desk.said[-1] == f"{ID} is stopped"
    assert desk.keys() == []


def test_an_interrupt_right_after_the_start_ends_it_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(**_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(desk.s3, "put_object", interrupt)
    made = FakeBuilds()
    with pytest.raises(KeyboardInterrupt):
        desk.build(made, GOOD)
    assert made.stopped == [ID]
    assert desk.keys() == []


def test_an_interrupt_leaves_the_build_of_somebody_else(desk: Desk) -> None:
    desk.note()
    made = FakeBuilds([build(), KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        desk.build(made, GOOD[:3])
    assert made.stopped == []
    assert desk.said[-1].endswith("continues")


def test_without_the_network_the_build_goes_on(desk: Desk) -> None:
    away = EndpointConnectionError(endpoint_url="https://codebuild")
    made = FakeBuilds([build(), away])
    with pytest.raises(
        UnreachableError, match="continues in the account: run the same command again"
    ):
        desk.build(made, GOOD[:3])
    assert made.stopped == []
    assert desk.keys().count(f"{FOLDER}/build") == 1  # the next one finds it
    again = FakeBuilds([build(), build("SUCCEEDED")])
    desk.build(again, GOOD)
    assert again.started == []


PROVISIONING = {
    "phaseType": "PROVISIONING",
    "phaseStatus": "FAILED",
    "contexts": [{"statusCode": "ACCESS_DENIED", "message": "the role can't be taken"}],
}


@pytest.mark.parametrize(
    ("look", "lines", "words"),
    [
        (
            build("TIMED_OUT"),
            GOOD[:4],
            r"TIMED_OUT:.*Collecting dask\na build may wait 60 minutes and run for 120",
        ),
        (build("STOPPED"), GOOD[:4], r"STOPPED:.*somebody stopped the build"),
        (build("FAULT"), (), r"FAULT:\nAWS itself failed"),
        (build("FAILED", phases=[PROVISIONING]), (), "PROVISIONING: the role can't be taken"),
        (
            build("FAILED"),
            (*GOOD[:6], "denied: not you"),
            r"couldn't be pushed.*\n    denied: not you",
        ),
        (build("FAILED"), ("An error occurred (403)",), r"An error occurred \(403\)"),
    ],
    ids=["time", "stopped", "fault", "machine", "push", "before"],
)
def test_other_ends_of_a_build(desk: Desk, look: Any, lines: Any, words: str) -> None:
    with pytest.raises(ImageError, match=rf"(?s){words}"):
        desk.build(FakeBuilds([look]), lines)


def test_a_large_upload_is_told(desk: Desk) -> None:
    import random

    large = random.Random(1).randbytes(12_000_000)  # packing makes it no smaller
    recipe = Recipe(python="3.12", platform="linux/amd64", wheels={"a.whl": large})
    desk.build(FakeBuilds(), GOOD, recipe=recipe)
    assert any(line.startswith("uploading:") for line in desk.said)
