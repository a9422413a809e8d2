"""A stage has started when none of its children waits any more, and that is told once."""

from __future__ import annotations

import pytest

from dask_knot.batch.rules import JobStatus
from dask_knot.batch.service import StageJob
from dask_knot.planning import Resources
from dask_knot.run.names import StageId
from dask_knot.session.starts import StartWatch
from dask_knot.tracking.events import StageStarted

ID, OTHER = StageId(1, 0), StageId(1, 1)


def job(counts: dict[str, int], size: int = 3, **facts: bool) -> StageJob:
    by_state = {JobStatus(name): count for name, count in counts.items()}
    return StageJob("job-1", size, Resources(1, 2**20), counts=by_state, **facts)


@pytest.mark.parametrize(
    ("counts", "facts", "has_started"),
    [
        ({}, {}, False),  # not looked at yet
        ({"SUBMITTED": 3}, {}, False),
        ({"PENDING": 1, "RUNNING": 2}, {}, False),
        ({"RUNNABLE": 1, "RUNNING": 2}, {}, False),
        ({"STARTING": 1, "SUCCEEDED": 2}, {}, False),
        ({"RUNNING": 2}, {}, False),  # one is in a state that is new
        ({"RUNNING": 3}, {}, True),
        ({"RUNNING": 1, "SUCCEEDED": 1, "FAILED": 1}, {}, True),
        ({"SUCCEEDED": 3}, {"is_over": True}, True),
        ({}, {"is_over": True}, True),  # Batch has forgotten it
        ({"RUNNING": 3}, {"is_foreign": True}, False),
        ({"RUNNING": 3}, {"is_adopted": True}, True),
    ],
)
def test_a_stage_has_started_when_nothing_waits(
    counts: dict[str, int], facts: dict[str, bool], has_started: bool
) -> None:
    found = StartWatch().look({ID: job(counts, **facts)})
    assert found == ([StageStarted(ID)] if has_started else [])


def test_it_is_told_once() -> None:
    watch = StartWatch()
    jobs = {ID: job({"RUNNING": 3}), OTHER: job({"RUNNABLE": 3})}
    assert watch.look(jobs) == [StageStarted(ID)]
    assert watch.look(jobs) == []
    jobs[OTHER] = job({"SUCCEEDED": 3}, is_over=True)
    assert watch.look(jobs) == [StageStarted(OTHER)]
