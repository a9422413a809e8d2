"""The job of another session's stage is found wherever that session was when it ended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dask_knot.batch.foreign import ForeignJobs
from dask_knot.batch.service import JobService, JobTemplate
from dask_knot.errors import AccessError
from dask_knot.planning import Resources, Shard, Stage
from dask_knot.run.names import StageId
from dask_knot.run.presence import Beat, Presence, RunInfo
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.runs.machine import own_info
from dask_knot.session.jobfinder import (
    NEVER,
    SETTLED_AFTER,
    UNWRITTEN_FOR,
    JobFinder,
    Surroundings,
)
from dask_knot.session.neighbors import Neighbors
from tests.local.recording import RecordingBatch, Request
from tests.session.test_neighbors import Watch

PLAN = 1_000_000
STAGES = {StageId(PLAN, n): 2 for n in range(3)}


class Desk:
    """Session 0 looks for what session 1 has submitted, on an engine whose jobs stay or don't."""

    def __init__(self, engine: str = "aws", theirs: str = "aws") -> None:
        self.store = Store("memory://")
        self.run = Run(self.store, "run")
        self.run.record.found(RunInfo(0.0, "me", "aws", "1"))
        self.watch = Watch()
        self.batch = RecordingBatch()
        neighbors = Neighbors(self.run.record, 0, self.watch)
        foreign = ForeignJobs(self.batch, neighbors.is_alive)
        template = JobTemplate("run", "queue", "image")
        self.service = JobService(foreign, template, lambda *_: ())
        here = Surroundings(self.batch, "queue", engine, engine == "aws")
        self.finder = JobFinder(self.run, here, neighbors, self.service, foreign)
        who = replace(own_info(theirs), machine="another")
        self.store.put(self.run.names.session(1), who.encode())
        self.beat()

    def beat(self, state: Presence = Presence.OPEN) -> None:
        """Let the other session beat, or leave."""
        self.store.put(self.run.names.beat(1), Beat(0, state, 1e6).encode())

    def leave(self) -> None:
        """Let the other session be gone."""
        self.beat(Presence.LEFT)
        self.watch.seconds += 100

    def submit(self, *numbers: int) -> dict[StageId, str]:
        """Let the other session submit some of its stages."""
        service = JobService(self.batch, JobTemplate("run", "queue", "image"), lambda *_: ())
        shard = Shard((), (), (), (), 1.0)
        for number in numbers:
            stage = Stage((shard, shard), Resources(1, 2**20))
            service.submit(StageId(PLAN, number), stage, "s3://b/run/packs/1-1")
        self.batch.calls = [c for c in self.batch.calls if c[0] == "SubmitJob"]
        return {id: job.id for id, job in service.jobs.items()}

    def find(self) -> dict[int, str]:
        """Look once; give the ids that are watched, by stage."""
        known = self.finder.find(PLAN, STAGES)
        assert known == set(self.service.jobs)
        return {id.stage: job.id for id, job in self.service.jobs.items()}

    @property
    def foreign(self) -> set[int]:
        """The stages whose jobs Batch isn't asked for."""
        return {id.stage for id, job in self.service.jobs.items() if job.is_foreign}

    def over(self) -> set[int]:
        """The stages whose jobs are over, after one more look."""
        self.service.poll(list(STAGES))
        return {id.stage for id, job in self.service.jobs.items() if job.is_over}


def written(ids: dict[StageId, str]) -> dict[int, str]:
    return {id.stage: job for id, job in ids.items()}


def test_ids_that_were_written_down_take_one_read() -> None:
    desk = Desk()
    ids = written(desk.submit(0, 1, 2))
    desk.run.record.note_jobs(PLAN, ids)
    assert desk.find() == ids
    assert desk.batch.requests("ListJobs") == []
    assert all(job.is_adopted and job.size == 2 for job in desk.service.jobs.values())
    desk.store.requests.clear()
    assert desk.find() == ids  # what is watched is not looked for
    assert desk.store.requests == {}


@pytest.mark.parametrize("is_there", [True, False])
def test_ids_that_were_not_written_down_are_found_by_one_listing(is_there: bool) -> None:
    desk = Desk()
    ids = written(desk.submit(0, 1, 2))
    if not is_there:
        desk.leave()
    assert desk.find() == ids
    assert len(desk.batch.requests("ListJobs")) == 1
    assert desk.foreign == set()


def test_what_we_recorded_ourselves_and_never_submitted_is_over_after_a_while() -> None:
    desk = Desk()
    own = StageId(0, 0)
    assert desk.finder.find(0, {own: 2}) == set()
    desk.watch.seconds += 10
    assert desk.finder.find(0, {own: 2}) == {own}
    desk.service.poll([own])
    assert desk.service.jobs[own].is_over


def test_jobs_of_another_place_are_not_asked_for_here() -> None:
    desk = Desk()
    who = replace(own_info("aws", "eu-west-1 their-queue"), machine="another")
    desk.store.put(desk.run.names.session(1), who.encode())
    desk.run.record.note_jobs(PLAN, written(desk.submit(0, 1, 2)))
    desk.find()
    assert desk.foreign == {0, 1, 2}
    assert desk.over() == set()


def test_ids_that_cannot_be_read_are_found_by_name() -> None:
    desk = Desk()
    ids = written(desk.submit(0, 1, 2))
    desk.store.put(desk.run.names.jobs(PLAN), [b"nonsense"])
    assert desk.find() == ids


def test_what_is_being_submitted_is_waited_for() -> None:
    desk = Desk()
    ids = desk.submit(0)
    assert desk.find() == written(ids)
    desk.watch.seconds += 1000
    assert desk.find() == written(ids)
    ids |= {StageId(PLAN, n): f"job-{2 + n}" for n in (1, 2)}
    desk.run.record.note_jobs(PLAN, written(ids))
    assert desk.find() == written(ids)


def test_what_a_dead_client_never_submitted_is_over_after_a_while() -> None:
    desk = Desk()
    ids = written(desk.submit(0))
    desk.leave()
    assert desk.find() == ids
    desk.watch.seconds += SETTLED_AFTER / 2
    assert desk.find() == ids
    desk.watch.seconds += SETTLED_AFTER
    assert desk.find().keys() == {0, 1, 2}
    assert desk.foreign == {1, 2}
    assert desk.over() == {1, 2}


def test_a_job_that_is_listed_late_is_found() -> None:
    desk = Desk()
    desk.leave()
    assert desk.find() == {}
    ids = written(desk.submit(0, 1, 2))
    desk.watch.seconds += SETTLED_AFTER
    assert desk.find() == ids


@pytest.mark.parametrize("engine", ["aws", "local"])
def test_what_was_refused_or_withdrawn_is_over_at_once(engine: str) -> None:
    desk = Desk(engine, engine)
    desk.run.record.note_jobs(PLAN, dict.fromkeys(range(3), NEVER))
    assert desk.find().keys() == {0, 1, 2}
    assert desk.foreign == {0, 1, 2}
    assert desk.over() == {0, 1, 2}


@pytest.mark.parametrize(
    ("engine", "theirs"), [("local", "local"), ("local", "aws"), ("aws", "local")]
)
def test_jobs_of_another_batch_live_with_their_session(engine: str, theirs: str) -> None:
    desk = Desk(engine, theirs)
    desk.run.record.note_jobs(PLAN, {0: "one", 1: "two", 2: "three"})
    assert desk.find().keys() == {0, 1, 2}
    assert desk.foreign == {0, 1, 2}
    assert desk.over() == set()
    assert desk.batch.calls == []
    desk.leave()
    assert desk.over() == {0, 1, 2}


def test_where_batch_cannot_tell_manifests_are_looked_for_in_the_end() -> None:
    desk = Desk("local", "local")
    assert desk.find() == {}
    desk.watch.seconds += UNWRITTEN_FOR
    assert desk.find().keys() == {0, 1, 2}
    assert desk.over() == set()


def test_what_ended_with_its_client_is_over_at_once() -> None:
    desk = Desk("local", "local")
    desk.leave()
    assert desk.find().keys() == {0, 1, 2}
    assert desk.over() == {0, 1, 2}


def test_a_batch_that_refuses_is_told() -> None:
    desk = Desk()

    def refuse(**request: object) -> Request:
        raise AccessError("batch:ListJobs")

    desk.batch.list_jobs = refuse  # type: ignore[method-assign]
    with pytest.raises(AccessError):
        desk.find()
