"""Session: one client's hold on a run. It plans, submits, watches and reads, without Dask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

from dask.typing import Key

from dask_knot.batch.service import JobService, StageJob
from dask_knot.digests import Digester
from dask_knot.planning import Resources
from dask_knot.run.manifest import Place
from dask_knot.run.names import StageId
from dask_knot.run.run import Run
from dask_knot.runs.reading import RunView
from dask_knot.session.adoption import say_held
from dask_knot.session.company import Company
from dask_knot.session.decisions import Decision
from dask_knot.session.driver import Driver
from dask_knot.session.engines import Engine, allowance_of
from dask_knot.session.hooks import Hooks
from dask_knot.session.joblogs import find_logs
from dask_knot.session.lookout import Lookout
from dask_knot.session.parting import Parting
from dask_knot.session.plugins import JobPlugins
from dask_knot.session.priorcosts import PriorCosts
from dask_knot.session.progress import Progress
from dask_knot.session.purse import Purse
from dask_knot.session.results import Results, read_results, read_view
from dask_knot.session.spending import Spending
from dask_knot.session.submission import job_script
from dask_knot.session.values import ValueReader
from dask_knot.settings.settings import Settings
from dask_knot.tracking import events
from dask_knot.tracking.foresight import Foresight
from dask_knot.tracking.tracker import Tracker


@dataclass(slots=True)
class Session:
    """One client's hold on a run.

    `start`, `submit`, `handle` and `leave` belong to one event loop. Queries answer in any thread,
    with what is known at the moment; what is said to block must not be called in the event loop.

    Attributes
    ----------
    settings, size : Settings, Resources
        With what only the engine knows; what one job has.
    hooks : Hooks
        Whom it tells what; set them before `start`.
    plugins, purse : JobPlugins, Purse
        What sets up jobs before their tasks run; what plans cost, and the budget.
    run, values : Run, ValueReader
        What it holds; what reads values, by their places, and the outcomes of tasks.
    progress, spending : Progress, Spending
        What is known of the work, and what it costs, to be shown.
    first_number : int
        Where the numbers of what this session writes begin: no other one has these.
    digester, prior : Digester or None, PriorCosts or None
        In a named run, tells what work is the same; what tasks have cost before in this store.
    """

    settings: Settings
    size: Resources
    hooks: Hooks
    plugins: JobPlugins
    purse: Purse
    run: Run
    first_number: int
    values: ValueReader
    progress: Progress
    spending: Spending
    digester: Digester | None
    prior: PriorCosts | None
    _engine: Engine
    _service: JobService
    _tracker: Tracker
    _driver: Driver
    _lookout: Lookout
    _parting: Parting
    _company: Company | None
    _run_ids: Iterator[int] = field(default_factory=lambda: count(1))

    # Verbs.

    def start(self) -> None:
        """Begin to watch."""
        self._driver.start()
        self._lookout.start()
        if self._company is not None:
            self._driver.background(self._company.heart.beat_on())

    def submit(self, graph: events.Graph) -> int:
        """Compute what a graph wants.

        Parameters
        ----------
        graph : Graph
            Its wanted keys are held until they are released: `handle([KeyReleased(...)])`.

        Returns
        -------
        int
            The run id that its outcomes carry: a key that is submitted again has another.
        """
        run_id = next(self._run_ids)
        asked = (events.KeyAsked(key, run_id) for key in graph.wanted)
        self.handle([events.GraphSubmitted(graph), *asked])
        return run_id

    def handle(self, happened: Iterable[events.Event]) -> None:
        """Take in what happened; nothing any more once it is left."""
        self._driver.handle(happened)

    async def flush(self, is_leaving: bool = False) -> None:
        """Plan and submit at once what is gathered; who leaves doesn't wait until AWS is back."""
        await self._driver.flush(is_leaving)
        if is_leaving:
            say_held(self._tracker)

    async def record_scattered(self, event: events.ValuesScattered) -> None:
        """Write down in a named run where values are that a client scattered."""
        await self._driver.look_up(event)

    async def recall(self, asked: Mapping[Key, int]) -> set[Key]:
        """Let the outcomes of keys come that some session of a named run was asked for.

        Parameters
        ----------
        asked : mapping of Key to int
            The keys, and the run id that the outcome of each is to carry.

        Returns
        -------
        set of Key
            Those that the run knows; no outcome comes of the others.

        Raises
        ------
        StoreError
            If the record can't be read.
        """
        if not all(map(self._tracker.knows, asked)):
            await self._driver.look_up()
        known = {key for key in asked if self._tracker.knows(key)}
        self.handle(events.KeyRecalled(key, asked[key]) for key in known)
        return known

    def note_interruption(self) -> None:
        """Note that Ctrl-C is why this session is closed, if so it is: `end` says it."""
        self._parting.note_interruption()

    async def leave(self) -> None:
        """Let go of the run: nothing more is planned, submitted or told. Jobs go on."""
        await self._driver.close()

    def let_go(self) -> None:
        """End all threads, and the jobs that can't go on without this client; blocks.

        Only the first call of this, `end_jobs` or `end` does anything; others wait for it.
        """
        self._parting.let_go()

    def end_jobs(self) -> None:
        """End all jobs and threads, and say which jobs could not be ended; blocks."""
        self._parting.end_jobs()

    def end_run_jobs(self) -> None:
        """End all jobs of the run, those of other sessions included, and all threads; blocks."""
        self._parting.end_run_jobs()

    def end(self) -> None:
        """Delete an unnamed run, and end the engine; jobs before that, unless let go; blocks.

        Only the first call does anything: a process that ends makes sure.
        """
        self._parting.end()

    def resize(self, jobs: int) -> None:
        """Let another number of jobs run at once."""
        self._engine.resize(jobs)
        self._tracker.resize(jobs)
        self._tracker.memory.allow(allowance_of(self._engine))

    # Queries.

    @property
    def slots(self) -> int:
        """How many jobs may run at once."""
        return self._tracker.slots

    @property
    def largest(self) -> Resources:
        """The most that a job may ask for."""
        return self._engine.largest

    @property
    def is_here(self) -> bool:
        """Whether jobs are processes of this machine, with its files and locks."""
        return self._engine.is_here

    @property
    def jobs_stay(self) -> bool:
        """Whether jobs go on without the client that submitted them."""
        return self._engine.jobs_stay

    @property
    def jobs(self) -> Mapping[StageId, StageJob]:
        """All jobs that are remembered, the oldest first: a mapping that doesn't change."""
        return self._service.jobs

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The last decisions about plans that were under way, the oldest first."""
        return self._driver.decisions.all()

    def digest_of(self, key: Key) -> bytes | None:
        """Give the digest of the work that makes a key, or of the content of a scattered value."""
        return self._tracker.digest_of(key)

    def place_of(self, key: Key) -> Place | None:
        """Tell where the value of a key is, if it is stored."""
        return self._tracker.place_of(key)

    def failure_of(self, key: Key) -> Place | Exception | None:
        """Tell where the failure is that stands for the value of a key, if one does."""
        return self._tracker.failure_of(key)

    def graph_of(self, key: Key) -> events.Graph | None:
        """Find a graph that has the task of a key, be it wanted or inside a shard."""
        return self._tracker.graph_of(key)

    async def foresee(self, graph: events.Graph) -> Foresight:
        """Tell what the planner would be asked if a graph came now; nothing changes."""
        if self._company is None:
            return self._tracker.foresee(graph)
        await self._driver.look_up()  # others may have made what it would make
        return await self._company.foresee(self._tracker, graph)

    def results(self, prefix: str = "") -> Results:
        """List the keys that a session of the named run was asked for; blocks."""
        return read_results(self.run, self._engine, prefix)

    def view(self) -> RunView:
        """Read the named run as others see it, with what Batch says of its jobs; blocks."""
        return read_view(self.run, self._engine)

    def traffic(self) -> Counter[str]:
        """Count the bytes that this client has ``read`` and ``written``."""
        return self.run.traffic()[1]

    def logs_of(self, chosen: Collection[str] | None) -> dict[str, str]:
        """Read the logs of jobs and children that are named, or of the newest; blocks."""
        return self._service.logs(chosen)

    def logs(self, what: Key | None) -> dict[str, str]:
        """Read the logs of a job, a child, the child that made a key's value; None: of the newest.

        Blocks.

        Raises
        ------
        KeyError
            If no job has that id, or is to make the value of that key.
        TypeError
            If it can't be a key.
        """
        return find_logs(what, self._service, self._tracker)

    def job_script(self) -> str:
        """Show the requests for a stage of two shards."""
        return job_script(self._service, self.run, self.size)
