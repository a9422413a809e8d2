"""The company of a session in a named run: what it knows of other sessions, and tells them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

from dask_knot.batch.endings import ENDED_RUN
from dask_knot.batch.foreign import ForeignJobs
from dask_knot.batch.runjobs import adopt, jobs_of_run
from dask_knot.batch.service import JobService
from dask_knot.errors import KnotError
from dask_knot.run.names import ShardId, StageId
from dask_knot.run.run import Run
from dask_knot.runs.machine import own_info
from dask_knot.session.adoption import Adoption
from dask_knot.session.clockwork import Clockwork
from dask_knot.session.driver import Driver
from dask_knot.session.engines import Engine, place_of
from dask_knot.session.heart import INTERVAL, INTERVAL_OF_JOBS_THAT_STAY, Heart
from dask_knot.session.jobfinder import JobFinder, Surroundings
from dask_knot.session.neighbors import Neighbors
from dask_knot.session.submission import Submitter
from dask_knot.tracking.events import Graph
from dask_knot.tracking.foresight import Foresight
from dask_knot.tracking.tracker import Tracker


@dataclass(frozen=True, slots=True)
class Company:
    """What a session of a named run has to do with others.

    Attributes
    ----------
    heart : Heart
        Shows them that this one is there.
    adoption : Adoption
        Has the jobs of others watched.
    finder : JobFinder
        Finds those.
    """

    heart: Heart
    adoption: Adoption
    finder: JobFinder

    async def foresee(self, tracker: Tracker, graph: Graph) -> Foresight:
        """Look ahead without counting on shards that nobody makes any more.

        Raises
        ------
        StoreError
            If the store can't be asked.
        """
        lost: set[ShardId] = set()
        while True:
            foreseen = tracker.foresee(graph, lost)
            gone = await asyncio.to_thread(self.finder.without_makers, foreseen.adopted)
            if gone <= lost:
                return foreseen
            lost |= gone

    def close(self) -> None:
        """End all threads, and say that the session holds the run no longer; blocks."""
        self.adoption.close()
        self.heart.leave()

    def end_run(self) -> None:
        """Say that all jobs of the run are to end, and have those that Batch knows watched; blocks.

        Raises
        ------
        StoreError, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError
            If the store or Batch can't be asked.
        """
        finder, here = self.finder, self.finder.here
        who = own_info(here.engine)
        try:
            finder.run.record.end(f"{who.user}@{who.host}")
        finally:  # whatever the store says, no job goes on
            found = jobs_of_run(here.client, here.queue, finder.run.name) if here.jobs_stay else ()
            for job in found:
                if not job.is_over:
                    adopt(finder.service, job)


def look_around(
    run: Run, session: int, engine: Engine, service: JobService, clockwork: Clockwork
) -> JobFinder:
    """Learn of the other sessions of a run, and of their jobs.

    Parameters
    ----------
    run : Run
        The run, without patience.
    session : int
        Our own number.
    engine : Engine
        Runs our own jobs.
    service : JobService
        Watches jobs.
    clockwork : Clockwork
        Clock and threads.
    """
    neighbors = Neighbors(run.record, session, clockwork.now)
    queue, name = engine.template.queue, engine.settings.engine
    here = Surroundings(engine.client, queue, name, engine.jobs_stay, place_of(engine))
    foreign = ForeignJobs(engine.client, neighbors.is_alive)
    service.ask(foreign)
    return JobFinder(run, here, neighbors, service, foreign)


def join_company(
    finder: JobFinder,
    submitter: Submitter,
    driver: Driver,
    tracker: Tracker,
    clockwork: Clockwork,
) -> Company:
    """Let a session take part in what the other sessions of its run do.

    Parameters
    ----------
    finder : JobFinder
        Finds the jobs of others.
    submitter : Submitter
        Ends the jobs that were left to others, when these are gone.
    driver : Driver
        Has them watched.
    tracker : Tracker
        Knows what is open.
    clockwork : Clockwork
        Clock and threads.
    """

    def is_wanted(stage: StageId) -> bool:
        return bool(tracker.open_shards([stage]))

    def end(error: KnotError) -> None:
        running = tracker.open_stages()
        driver.end_all(error)
        for id in running:
            driver.terminate(id, ENDED_RUN)

    interval = INTERVAL_OF_JOBS_THAT_STAY if finder.here.jobs_stay else INTERVAL
    record, own = finder.run.record, finder.neighbors.own
    end_spared = partial(submitter.end_spared, tracker.open_stages)
    heart = Heart(record, own, interval, clockwork, end, end_spared)
    watch = finder.service, is_wanted, clockwork, heart.look_for_end
    driver.adoption = adoption = Adoption(finder, *watch)
    return Company(heart, adoption, finder)
