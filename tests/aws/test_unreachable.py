"""Where AWS doesn't answer, whatever was asked ends as one error of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from dask_knot.aws.doctor import Verdict, examine
from dask_knot.aws.engine import AwsEngine
from dask_knot.aws.images import ensure_image
from dask_knot.aws.options import StackOptions
from dask_knot.aws.outputs import parse_outputs, read_outputs
from dask_knot.aws.removal import down, find_data
from dask_knot.aws.session import AwsSession
from dask_knot.aws.stack import up
from dask_knot.aws.status import read_status
from dask_knot.errors import AwsError
from dask_knot.image.spec import ImageSpec
from dask_knot.settings.settings import resolve
from tests.aws.account import sign_in, unheard
from tests.aws.formation import described

OUTPUTS = parse_outputs(described())


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsSession]:
    """Give a session that asks where nobody answers, once."""
    sign_in(monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    once = Config(retries={"total_max_attempts": 1}, connect_timeout=1)
    session = AwsSession(boto3.Session(region_name="eu-west-1"), once)
    yield session
    session.close()


@pytest.mark.parametrize(
    "ask",
    [
        lambda session: session.identity(),
        lambda session: read_outputs(session, "dask-knot"),
        lambda session: up(session, StackOptions(), unheard),
        lambda session: up(session, StackOptions(existing_queue="theirs"), unheard),
        lambda session: find_data(session, "dask-knot"),
        lambda session: down(session, "dask-knot", unheard),
        lambda session: read_status(session, OUTPUTS),
        lambda session: ensure_image(session, OUTPUTS, ImageSpec(packages=()), print),
        lambda session: AwsEngine(resolve({"engine": "aws"}), session, OUTPUTS, "image:1", {}),
    ],
)
def test_it_is_said(ask: Callable[[AwsSession], Any], session: AwsSession) -> None:
    with pytest.raises(AwsError, match=r"AWS can't be reached: .*Check the network"):
        ask(session)


def test_the_doctor_says_it_too(session: AwsSession) -> None:
    (found,) = examine(session, "dask-knot")
    assert found.verdict is Verdict.BAD
    assert "can't be reached: Could not connect" in found.text
    assert found.cure.startswith("Check the network")
