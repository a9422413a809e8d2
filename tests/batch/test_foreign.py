"""Jobs of other clients live as long as these; all else is asked of Batch as it is."""

from __future__ import annotations

import inspect

from dask_knot.batch.client import BatchClient
from dask_knot.batch.foreign import ForeignJobs
from dask_knot.batch.jobs import StageJob
from dask_knot.batch.rules import JobStatus
from dask_knot.batch.service import JobService, JobTemplate
from dask_knot.batch.termination import Leftovers, end_jobs
from dask_knot.planning import Resources, Shard, Stage
from dask_knot.run.names import ShardId, StageId
from dask_knot.tracking.events import Ending
from tests.local.recording import RecordingBatch

ARRAY, ALONE, OWN = StageId(0, 0), StageId(0, 1), StageId(1_000_000, 0)


class Street:
    """A service that watches an array and a job of session 7, and a job of its own."""

    def __init__(self) -> None:
        self.batch = RecordingBatch()
        self.asked: list[int] = []
        self.alive = True
        self.foreign = ForeignJobs(self.batch, self.is_alive)
        self.service = JobService(self.foreign, JobTemplate("n", "q", "i"), lambda *_: ())
        for id, size in ((ARRAY, 3), (ALONE, 1)):
            name = self.foreign.add(f"run-{id}", 7, size)
            job = StageJob(name, size, Resources(0), is_adopted=True, is_foreign=True)
            self.service.adopt(id, job)
        shard = Shard((), (), (), (), 1.0)
        self.service.submit(OWN, Stage((shard,), Resources(1, 2**20)), "s3://b/run/packs/1-1")

    def is_alive(self, session: int) -> bool:
        """Tell whether session 7 is there."""
        self.asked.append(session)
        return self.alive


def test_they_run_while_their_session_is_there_and_it_is_asked_for_once_a_look() -> None:
    street = Street()
    assert street.service.poll([ARRAY, ALONE, OWN]) == []
    jobs = street.service.jobs
    assert jobs[ARRAY].counts == {JobStatus.RUNNING: 3}
    assert jobs[ALONE].counts == {JobStatus.RUNNING: 1}
    assert jobs[OWN].counts == {JobStatus.SUBMITTED: 1}
    assert street.asked == [7]
    assert street.batch.requests("DescribeJobs") == [{"jobs": ["job-1"]}]


def test_they_are_over_with_it_and_what_left_no_manifest_is_left() -> None:
    street = Street()
    street.service.poll([ARRAY, ALONE])
    street.alive = False
    failed = street.service.poll([ARRAY, ALONE])
    assert [(shard.stage, found.ending) for shard, found in failed] == [(ALONE, Ending.LEFT)]
    assert street.service.jobs[ARRAY].is_over
    ((shard, found),) = street.service.explain([ShardId(ARRAY, 2)])
    assert (shard.index, found.ending) == (2, Ending.LEFT)
    assert street.batch.calls[3:] == []  # definitions and submission of our own job


def test_what_was_never_submitted_is_over_at_once() -> None:
    street = Street()
    id = StageId(0, 2)
    name = street.foreign.add(f"run-{id}", None, 2)
    street.service.adopt(id, StageJob(name, 2, Resources(0), is_adopted=True, is_foreign=True))
    assert street.service.poll([id]) == []
    assert street.service.jobs[id].is_over
    assert street.asked == []


def test_nobody_here_ends_them_or_waits_for_their_end() -> None:
    street = Street()
    street.service.terminate([ARRAY, ALONE], "why")
    street.batch.details["job-1"]["status"] = "SUCCEEDED"
    assert end_jobs(street.service) == Leftovers()
    assert street.batch.requests("TerminateJob") == []
    assert street.service.running([ShardId(ARRAY, 0), ShardId(ALONE, 0)]) == []


def test_it_has_every_call_that_a_client_has() -> None:
    calls = {name for name, _ in inspect.getmembers(BatchClient, inspect.isfunction)}
    calls = {name for name in calls if not name.startswith("_")}
    assert len(calls) > 6
    assert calls <= {name for name, _ in inspect.getmembers(ForeignJobs, inspect.isfunction)}
