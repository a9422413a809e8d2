"""Finds the jobs of other sessions' stages: by the ids that these wrote down, else by name."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from dask_knot.batch.client import BatchClient
from dask_knot.batch.foreign import ForeignJobs
from dask_knot.batch.jobs import StageJob
from dask_knot.batch.runjobs import listed_jobs
from dask_knot.batch.service import JobService
from dask_knot.errors import CorruptObjectError
from dask_knot.planning import Resources
from dask_knot.run.names import ShardId, StageId, session_of
from dask_knot.run.run import Run
from dask_knot.session.known import is_last
from dask_knot.session.neighbors import Neighbors

logger = logging.getLogger(__name__)

#: Instead of a job's id: the stage was refused or withdrawn, and never will have a job.
NEVER = ""
#: A job may be on its way when its client dies, or not be listed yet: so many seconds later a stage
#: that has none was never submitted.
SETTLED_AFTER = 5.0
#: If a session that is there hasn't written down its jobs for so many seconds, and Batch can't be
#: asked for them, its manifests are all that is waited for.
UNWRITTEN_FOR = 60.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where our own session submits jobs.

    Attributes
    ----------
    client : BatchClient
        The Batch that it submits to.
    queue : str
        The job queue.
    engine, place : str
        The name of its engine, and where that has its queue.
    jobs_stay : bool
        Whether jobs go on without the client that submitted them, so that Batch knows them.
    """

    client: BatchClient
    queue: str
    engine: str
    jobs_stay: bool
    place: str = ""


@dataclass(frozen=True, slots=True)
class JobFinder:
    """Has the jobs of other sessions watched; blocks.

    What Batch can't be asked for is watched as a foreign job, which runs as long as its session is
    there: jobs that are processes of another client, and stages that were never submitted.

    Attributes
    ----------
    run : Run
        The run: its record has ids of jobs, and their names begin with its own.
    here : Surroundings
        Whom to ask.
    neighbors : Neighbors
        Knows which sessions are there.
    service : JobService
        Watches what is found.
    foreign : ForeignJobs
        Answers for foreign jobs.
    """

    run: Run
    here: Surroundings
    neighbors: Neighbors
    service: JobService
    foreign: ForeignJobs
    _absent_since: dict[tuple[int, bool], float] = field(default_factory=dict)

    def without_makers(self, shards: Collection[ShardId]) -> set[ShardId]:
        """Name the shards that have no last manifest, and that no session can be running.

        Of jobs that go on without their sessions nobody knows that.

        Raises
        ------
        StoreError
            If the store can't be asked.
        """
        sessions = {session_of(shard.stage.plan) for shard in shards}
        if self.here.jobs_stay or all(map(self.neighbors.is_alive, sessions)):
            return set()
        listed = self.run.list_manifests(sorted({shard.stage for shard in shards}))
        done = {id.shard for id in listed if is_last(id)}
        gone = {one for one in sessions if not self.neighbors.is_alive(one)}
        return {s for s in shards if s not in done and session_of(s.stage.plan) in gone}

    def find(self, plan: int, sizes: Mapping[StageId, int]) -> set[StageId]:
        """Have the jobs of stages of one plan watched, and name the stages whose jobs are known.

        Whether the others were submitted isn't known yet: look again later.

        Parameters
        ----------
        plan : int
            The number of the plan.
        sizes : mapping of StageId to int
            How many shards each of the stages has.

        Raises
        ------
        StoreError, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError
            If the store or Batch can't be asked.
        """
        known = {id for id in sizes if id in self.service.jobs}
        wanted = {id: size for id, size in sizes.items() if id not in known}
        if not wanted:
            return known
        session = session_of(plan)
        # Asked first: what a session that is gone has submitted is there by now.
        is_own = session == self.neighbors.own
        is_alive = not is_own and self.neighbors.is_alive(session)
        is_ours = self._is_ours(session)
        ids = self._ids(plan, {id.stage for id in wanted}, is_ours)
        was_never = self._is_absent_too_long(plan, is_alive, is_ours)
        for id, size in wanted.items():
            job = ids.get(id.stage)
            if job is None and not was_never:
                continue
            if job and is_ours:
                self.service.adopt(id, _adopted(job, size))
            else:
                # What we have recorded ourselves and not submitted never will be.
                self._watch_foreign(id, size, None if job == NEVER or is_own else session)
            known.add(id)
        return known

    def _is_ours(self, session: int) -> bool:
        """Tell whether our Batch is the one that a session submits to, and knows its jobs."""
        here = self.here
        who = self.neighbors.who(session) if here.jobs_stay else None
        place = here.engine, here.place
        return here.jobs_stay and (who is None or (who.engine, who.place) == place)

    def _ids(self, plan: int, stages: set[int], is_ours: bool) -> Mapping[int, str]:
        try:
            ids = self.run.record.read_jobs(plan)
        except CorruptObjectError as error:
            logger.warning("the ids of the jobs of plan %d can't be read: %s", plan, error)
            ids = {}
        if is_ours and not ids.keys() >= stages:
            found = listed_jobs(self.here.client, self.here.queue, self.run.name, plan)
            ids = {id.stage: job.id for id, job in found.items()} | ids
        return ids

    def _is_absent_too_long(self, plan: int, is_alive: bool, is_ours: bool) -> bool:
        """Tell whether stages without a job are no longer on their way to Batch."""
        if is_alive and is_ours:
            return False
        now = self.neighbors.now()
        since = self._absent_since.setdefault((plan, is_alive), now)
        return now - since >= (UNWRITTEN_FOR if is_alive else SETTLED_AFTER if is_ours else 0.0)

    def _watch_foreign(self, id: StageId, size: int, session: int | None) -> None:
        job = _adopted(self.foreign.add(f"{self.run.name}-{id.stored}", session, size), size)
        job.is_foreign = True
        self.service.adopt(id, job)


def _adopted(id: str, size: int) -> StageJob:
    return StageJob(id, size, Resources(vcpus=0, memory=None), is_adopted=True)
