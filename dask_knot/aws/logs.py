"""The logs of jobs in CloudWatch."""

from __future__ import annotations

from collections.abc import Sequence

from dask_knot.aws.session import REFUSALS, AwsSession, code_of, translate


def tail(session: AwsSession, group: str, stream: str, lines: int) -> Sequence[str]:
    """Give the last lines of a job's log; that it can't be read is no error of the job."""
    try:
        found = session.client("logs").get_log_events(
            logGroupName=group, logStreamName=stream, limit=lines, startFromHead=False
        )
    except REFUSALS as error:
        if code_of(error) == "ResourceNotFoundException":  # it has printed nothing yet
            return ()
        return (f"(the log {stream} can't be read: {translate(error)})",)
    return [str(event["message"]).rstrip("\n") for event in found["events"]]
