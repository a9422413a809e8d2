"""Our own policy: a real session, with planner and tracker, on the simulated Batch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from statistics import fmean, pstdev
from typing import Any

import dask
from dask.utils import key_split

from benchmarks.simulate.api import Api
from benchmarks.simulate.batch import SimulatedBatch
from benchmarks.simulate.child import ShardProgram
from benchmarks.simulate.fleet import Fleet
from benchmarks.simulate.laptop import Meter, Threads
from benchmarks.simulate.network import Traffic, read_seconds
from benchmarks.simulate.numbers import Numbers
from benchmarks.simulate.objects import URL, SimulatedRun, SimulatedStore
from benchmarks.simulate.site import Site
from benchmarks.simulate.world import Outcome, Workload, World
from dask_knot.batch.request import JobTemplate
from dask_knot.collector import paused_collector
from dask_knot.planning import Cost, Resources
from dask_knot.run.names import ShardId, parse_pack
from dask_knot.run.store import Store
from dask_knot.session.failures import ErredKey
from dask_knot.session.hooks import Outcome as KeyOutcome
from dask_knot.session.opening import session_on
from dask_knot.session.session import Session
from dask_knot.session.virtual import VirtualLoop, run
from dask_knot.settings.defaults import DEFAULTS
from dask_knot.settings.settings import Settings, Tempo, resolve
from dask_knot.tracking.durations import NO_CODE
from dask_knot.tracking.events import CostsRecalled

NAME = "simulated"
#: A workload that takes longer waits for something that never comes.
FOREVER = 100 * 24 * 3600.0


def run_ours(
    workload: Workload,
    world: World,
    known: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> Outcome:
    """Run a workload as `KnotCluster(engine="aws")` does.

    Parameters
    ----------
    workload : Workload
        What is to be computed.
    world : World
        Where.
    known : bool
        Whether it is known how long tasks take: mean and spread of each prefix, as from an earlier
        session.
    overrides : mapping of str to Any, optional
        Settings that are other than by default: fields of `Settings` or `Tempo`, times in seconds.

    Raises
    ------
    RuntimeError
        If a key errs, or never gets an outcome.
    """
    with _undisturbed():
        settings = _settings(world, overrides or {})
        outcome: Outcome = run(
            lambda loop: _Simulation(loop, workload, world, settings).main(known)
        )
    return outcome


class SimulatedEngine:
    """Engine "aws" in a simulated account.

    Parameters
    ----------
    settings : Settings
        Those of the cluster.
    batch : SimulatedBatch
        Takes the calls.
    store : SimulatedStore
        Keeps objects.
    """

    largest = Resources(64, 2**38)
    is_here = True  # its jobs run nowhere: no module has to travel
    jobs_stay = True
    market = None  # what it costs is counted by the simulation itself
    scout = None  # all machines join
    store_url = URL

    def __init__(self, settings: Settings, batch: SimulatedBatch, store: SimulatedStore) -> None:
        self.settings = settings
        self.client = batch
        self.template = JobTemplate(NAME, "queue", "image")
        self._store = store

    def open_store(self, url: str) -> Store:
        """Open the one store there is."""
        return self._store

    def tail(self, log_stream: str, lines: int) -> Sequence[str]:
        """Give no log."""
        return ()

    def resize(self, jobs: int) -> None:
        """Stay as large as the world is."""

    def end_jobs(self) -> None:
        """End nothing: no job runs here."""

    def end_command(self, job_id: str) -> str:
        """Give a command."""
        return f"end {job_id}"

    def close(self) -> None:
        """Let go of nothing."""


class _Simulation:
    """One session, from the submission of a graph to its last outcome."""

    def __init__(
        self, loop: VirtualLoop, workload: Workload, world: World, settings: Settings
    ) -> None:
        self._loop = loop
        self._workload = workload
        self._fleet = Fleet(world, loop, settings.cores)
        self._api = Api(world.numbers, loop)
        self._traffic = Traffic()
        meter = Meter(world.numbers)
        store = SimulatedStore(self._traffic, meter)
        self._run = SimulatedRun(store, NAME, workload.nbytes)
        self._site = Site(self._run, workload, self._traffic)
        self._run.heed = self._site.heed
        batch = SimulatedBatch(self._fleet, self._api, meter, self._program)
        clockwork = replace(
            loop.clockwork(), executor=lambda name, count: Threads(loop, meter, count)
        )
        engine = SimulatedEngine(settings, batch, store)
        self._session: Session = session_on(engine, clockwork, self._run)
        self._open = set(workload.graph.wanted)
        self._is_over = asyncio.Event()
        self._error: object = None
        loop.set_exception_handler(lambda loop, context: self._fail(context))
        loop.call_later(FOREVER, self._fail, f"{len(self._open)} keys have no outcome")

    async def main(self, known: bool) -> Outcome:
        """Submit, and wait for all outcomes."""
        session = self._session
        session.hooks.outcomes = self._take
        session.start()
        if known:
            session.handle([recalled(self._workload, self._site.run.numbers)])
        began = self._loop.time()
        session.submit(self._workload.graph)
        await self._is_over.wait()
        outcome = self._outcome(self._loop.time() - began)
        await session.leave()
        session.let_go()
        if self._error is not None:
            raise RuntimeError(f"{self._workload.name}: {self._error}")
        return outcome

    def _program(self, command: Sequence[str], index: int) -> ShardProgram:
        """Make what a child runs, from the command of its job."""
        _, _, stage = parse_pack(next(word for word in command if "/packs/" in word))
        is_twin = "--child" in command
        if is_twin:
            index = int(command[command.index("--child") + 1])
        return ShardProgram(self._site, ShardId(stage, index), is_twin)

    def _take(self, outcomes: Sequence[KeyOutcome]) -> None:
        for one in outcomes:
            if isinstance(one, ErredKey):
                self._fail(f"{one.key!r} erred: {one.failure.load()!r}")
            self._open.discard(one.key)
        if not self._open:
            self._is_over.set()

    def _fail(self, error: object) -> None:
        self._error = self._error or error
        self._is_over.set()

    def _outcome(self, makespan: float) -> Outcome:
        return Outcome(
            makespan=makespan,
            vcpu_seconds_paid=self._fleet.paid(),
            vcpu_seconds_used=self._fleet.used,
            jobs=self._fleet.jobs,
            api_calls=sum(self._api.calls.values()),
            requests=dict(sorted(self._traffic.requests.items())),
            nbytes=dict(sorted(self._traffic.nbytes.items())),
            tasks=self._site.tasks,
            notes=tuple(text for _, text in self._session.decisions),
        )


def recalled(workload: Workload, numbers: Numbers) -> CostsRecalled:
    """Tell what an earlier session would have noted: mean and spread of each prefix.

    What tasks read from S3 themselves is a part of the time that they take.
    """
    seconds: dict[str, list[float]] = {}
    nbytes: dict[str, list[float]] = {}
    for key, took in workload.seconds.items():
        read = workload.reads.get(key)
        took += 0.0 if read is None else read_seconds(numbers, read)
        seconds.setdefault(key_split(key), []).append(took)
        nbytes.setdefault(key_split(key), []).append(workload.nbytes.get(key, 0))
    return CostsRecalled(
        {(prefix, NO_CODE): Cost(fmean(some), pstdev(some)) for prefix, some in seconds.items()},
        {(prefix, NO_CODE): fmean(some) for prefix, some in nbytes.items()},
    )


def _settings(world: World, overrides: Mapping[str, Any]) -> Settings:
    settings = replace(resolve({"engine": "aws"}), name=NAME, jobs=world.slots)
    names = {one.name for one in fields(Tempo)}
    tempo = {name: value for name, value in overrides.items() if name in names}
    others = {name: value for name, value in overrides.items() if name not in names}
    return replace(settings, tempo=replace(settings.tempo, **tempo), **others)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Leave the user's configuration out, and what sessions say in the log."""
    logger = logging.getLogger("dask_knot")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        # What is made lives until the end: the collector would look at it again and again.
        with dask.config.set({"knot": DEFAULTS}), paused_collector():
            yield
    finally:
        logger.setLevel(level)
