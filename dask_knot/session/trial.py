"""Tries tasks of a graph: a session of its own runs them, each alone in its job.

It runs on the same engine, and in the same run if that has a name: there what was made before is
taken up, and what is made now is there for the computation itself. In any case later plans know
what was measured. The first try is in jobs of the usual size on this machine, where jobs share it,
and in roomy ones on AWS, so that memory is measured and not run out of; tasks that take long are
tried again with more cores, as long as these make them faster. A short task runs twice in its job:
the second time is what it takes, and what the first took longer is what a job takes to start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from dask.typing import Key
from dask.utils import key_split

from dask_knot.estimates.trials import Trial
from dask_knot.planning import Resources
from dask_knot.run.profile import Profile, ProfileKey, TaskCosts
from dask_knot.session.costs import costs_of
from dask_knot.session.failures import ErredKey
from dask_knot.session.hooks import Outcome
from dask_knot.session.opening import open_session
from dask_knot.session.session import Session
from dask_knot.session.watcher import ChildEvent
from dask_knot.settings.settings import Settings
from dask_knot.tracking.actions import FinishKey
from dask_knot.tracking.durations import NO_CODE
from dask_knot.tracking.events import Graph, ManifestFound

logger = logging.getLogger(__name__)

GIB = 2**30
#: Memory for each vCPU of a job on AWS in which tasks are tried: as much as the family r has.
ROOMY = 8 * GIB


@dataclass(slots=True)
class TrialRun:
    """What came of tasks that were tried.

    Attributes
    ----------
    seconds : dict of Key to float
        How long those took that ended well, now or when an earlier session ran them.
    peaks : dict of Key to int
        Bytes that their jobs had at most, of those that ran now.
    startups : dict of str to list of float
        Seconds that tasks of a prefix took longer when they ran for the first time in a job.
    failures : dict of Key to str
        Why others gave nothing.
    profile : Profile
        What they cost, as later plans know it.
    """

    seconds: dict[Key, float] = field(default_factory=dict)
    peaks: dict[Key, int] = field(default_factory=dict)
    startups: dict[str, list[float]] = field(default_factory=dict)
    failures: dict[Key, str] = field(default_factory=dict)
    profile: Profile = field(default_factory=Profile)

    def trials(self) -> list[Trial]:
        """Give what the tasks took."""
        return [Trial(key, taken, self.peaks.get(key, 0)) for key, taken in self.seconds.items()]

    def startup(self) -> dict[str, float]:
        """Give the seconds that the first task of each prefix takes longer, in a usual job."""
        return {prefix: median(each) for prefix, each in self.startups.items()}


def part_of(graph: Graph, tasks: Sequence[Key]) -> Graph:
    """Make a graph of some tasks of another, all of which are wanted, with constants they read."""
    chosen = dict.fromkeys(tasks)
    read = {one for key in tasks for one in graph.tasks[key].dependencies}
    literals = read & graph.literals
    kept = {key: graph.tasks[key] for key in graph.tasks if key in chosen or key in literals}
    return replace(
        graph,
        tasks=kept,
        wanted=[*tasks],
        literals=literals,
        external=[],
        resources={key: one for key, one in graph.resources.items() if key in chosen},
        digests={key: one for key, one in graph.digests.items() if key in kept},
    )


def roomy(settings: Settings, largest: Resources, cores: int | None = None) -> Settings:
    """Give the settings of a session that tries tasks.

    Parameters
    ----------
    settings : Settings
        Those of the session whose tasks they are.
    largest : Resources
        The most that a job may have.
    cores : int, optional
        vCPUs of a job; as usual, unless told otherwise. Fewer jobs run at once with more of them.
    """
    more = cores or settings.cores
    memory = settings.memory * more // settings.cores
    if settings.engine == "aws":
        memory = max(memory, ROOMY * more)
    jobs = max(1, settings.jobs * settings.cores // more)
    name = settings.name if settings.is_named else f"{settings.name}-trial"
    store = settings.store if settings.is_named or settings.engine == "aws" else None
    limits = [memory, *([largest.memory] if largest.memory else [])]
    return replace(
        settings,
        name=name,
        store=store,
        cores=more,
        jobs=jobs,
        memory=min(limits),
        auto=frozenset(),
        estimate=None,
    )


def apart(settings: Settings) -> Settings:
    """Give the settings of a session that runs what ran before: in no run that has it."""
    store = settings.store if settings.engine == "aws" else None
    return replace(settings, name=f"{settings.name}-again", is_named=False, store=store)


class _Tester:
    """Takes what a session tells of tasks, until all have ended."""

    def __init__(self, session: Session, graph: Graph) -> None:
        self.found = TrialRun()
        self.is_over = asyncio.Event()
        self._left = set(graph.wanted)
        self._session = session
        self._marks = graph.marks
        self._costs: dict[ProfileKey, TaskCosts] = {}

    def outcomes(self, outcomes: Sequence[Outcome]) -> None:
        for one in outcomes:
            self._left.discard(one.key)
            if isinstance(one, FinishKey):
                self.found.seconds[one.key] = max(0.0, one.facts.stop - one.facts.start)
            elif isinstance(one, ErredKey):
                self.found.failures[one.key] = one.failure.exception_text
        if not self._left:
            self.is_over.set()

    def manifests(self, events: Sequence[ChildEvent]) -> None:
        for one in events:
            if isinstance(one, ManifestFound):
                self._take(one)

    def _take(self, event: ManifestFound) -> None:
        found = costs_of(event.manifest)
        for prefix, work in event.manifest.work.items():
            self.found.startups.setdefault(prefix, []).append(work.startup / max(1, work.tasks))
        for prefix, costs in found.items():
            kind = ProfileKey(prefix, self._marks.get(prefix, NO_CODE))
            self._costs[kind] = self._costs.get(kind, TaskCosts()) + costs
        self.found.profile = Profile(dict(self._costs))
        keys = self._session.progress.outputs_of(event.shard)
        for key in keys if len(keys) == 1 else ():
            peak = found[key_split(key)].peak if key_split(key) in found else 0
            self.found.peaks[key] = max(peak, self.found.peaks.get(key, 0))


async def try_tasks(settings: Settings, graph: Graph, notice: Callable[[str], None]) -> TrialRun:
    """Run the tasks of a graph, each alone in its job, in a session that is opened for them.

    Parameters
    ----------
    settings : Settings
        Those of the session: see `roomy`.
    graph : Graph
        See `part_of`.
    notice : callable
        Takes what people should know at once, such as why jobs wait.

    Raises
    ------
    KnotError
        If the session can't be opened.
    """
    session = await asyncio.to_thread(open_session, settings, is_trial=True)
    tester = _Tester(session, graph)
    hooks = session.hooks
    hooks.outcomes, hooks.found, hooks.notice = tester.outcomes, tester.manifests, notice
    try:
        session.start()
        session.submit(graph)
        await session.flush()
        await tester.is_over.wait()
        return tester.found
    finally:
        await session.leave()
        await asyncio.to_thread(_end, session)


def _end(session: Session) -> None:
    try:
        session.let_go() if session.settings.is_named else session.end_jobs()
    finally:
        session.end()
