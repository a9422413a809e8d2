"""The place in a queue, by what Batch says of its front; what can't be asked is no error."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from dask_knot.batch.snapshot import NAMED, place_in_queue
from dask_knot.errors import AccessError

ARN = "arn:aws:batch:eu-west-1:123456789012:job/"
ENVIRONMENTS = [{"computeResources": {"maxvCpus": 192}}, {"computeResources": {"maxvCpus": 64}}, {}]


class Queue:
    """A Batch that has a front of a queue."""

    def __init__(self, jobs: list[str], used: float | None = None, unit: str = "VCPU") -> None:
        self.answer: dict[str, Any] = {
            "frontOfQueue": {"jobs": [{"jobArn": ARN + job} for job in jobs]}
        }
        if used is not None:
            usage = [{"capacityUnit": unit, "quantity": used}]
            self.answer["queueUtilization"] = {"totalCapacityUsage": usage}

    def get_job_queue_snapshot(self, *, jobQueue: str) -> dict[str, Any]:
        assert jobQueue == "queue"
        return self.answer


OTHERS = [f"job-{number}" for number in range(NAMED)]


@pytest.mark.parametrize(
    ("queue", "said"),
    [
        (
            Queue([*OTHERS[:12], "own", *OTHERS[12:86]], 240),
            "12 of 87 waiting jobs are ahead of it",
        ),
        (Queue(["own", *OTHERS[:3]]), "it is next"),
        # Children are listed, or are not: that isn't documented. An array is one job here.
        (Queue(["a:0", "a:1", "b", "own:7", "own:8"]), "2 of 5 waiting jobs are ahead of it"),
        (Queue(OTHERS), "100 or more waiting jobs are ahead of it"),
        (Queue(OTHERS[:3]), ""),  # it has just begun, or Batch is late
        (Queue([], 240), "240 of 256 vCPUs are busy"),
        (Queue([], 240, "INSTANCE"), ""),
    ],
    ids=["amid", "next", "children", "behind", "gone", "use", "unit"],
)
def test_the_place_in_a_queue(queue: Queue, said: str) -> None:
    found = place_in_queue(queue, "queue", "own", ENVIRONMENTS)
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_place_and_use_are_told_together() -> None:
    found = place_in_queue(Queue(["x", "own"], 8), "queue", "own", [])
    assert found == "1 of 2 waiting jobs are ahead of it; 8 vCPUs are busy"


def test_an_engine_without_the_call_says_nothing() -> None:
    assert place_in_queue(object(), "queue", "own", []) == ""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ClientError({"Error": {"Code": "404"}}, "GetJobQueueSnapshot"), ""),
        (ConnectionError("away"), ""),
        (AccessError("may not do batch:GetJobQueueSnapshot"), "batch:GetJobQueueSnapshot"),
    ],
    ids=["older", "away", "forbidden"],
)
def test_what_cannot_be_asked_is_no_error(error: Exception, said: str) -> None:
    class Refusing:
        def get_job_queue_snapshot(self, **_: str) -> None:
            raise error

    found = place_in_queue(Refusing(), "queue", "own", [])
    assert said in found
    assert bool(found) == bool(said)
