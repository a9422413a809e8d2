"""A network that is gone for a while is borne with; what AWS refuses is said at once."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError

from dask_knot.aws.session import OUTAGE, AwsClient, open_aws_session
from dask_knot.errors import AccessError, AwsError
from dask_knot.run.opening import RETRIES

GONE = [
    EndpointConnectionError(endpoint_url="https://batch"),
    ConnectionClosedError(endpoint_url="https://batch"),
]


class Client:
    """Raises what it is given, one after another, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def submit_job(self, **request: Any) -> Any:
        """Answer, or not yet."""
        if self.errors:
            raise self.errors.pop(0)
        return request


def test_it_asks_again_until_aws_answers() -> None:
    pauses: list[float] = []
    asking = AwsClient(Client(*GONE, *GONE, *GONE), patience=60, pause=pauses.append)
    assert asking.submit_job(jobName="a") == {"jobName": "a"}
    assert pauses == [0.5, 1, 2, 4, 5, 5]


def test_it_gives_up_when_its_patience_ends() -> None:
    client, pauses = Client(*GONE), list[float]()
    with pytest.raises(AwsError, match="can't be reached"):
        AwsClient(client, patience=0.4, pause=pauses.append).submit_job()
    assert (len(client.errors), pauses) == (1, [])


def test_a_refusal_is_said_at_once() -> None:
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "SubmitJob")
    client = Client(denied)
    with pytest.raises(AccessError):
        AwsClient(client, patience=60, pause=pytest.fail).submit_job()


def test_work_bears_with_more_than_a_minute_and_the_store_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very secret")
    session = open_aws_session(region="eu-west-1")
    assert session.asking("batch")._patience == 0
    assert session.patient().asking("batch")._patience == OUTAGE > 60
    assert RETRIES["retry_timeout"].total_seconds() == OUTAGE  # type: ignore[attr-defined]
