"""Spending: what a session's jobs have cost, so far and in full."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from threading import Lock

from dask_knot.batch.attempts import AttemptBook, Child
from dask_knot.batch.rules import JobStatus
from dask_knot.batch.service import JobService, StageJob
from dask_knot.planning import Resources
from dask_knot.prices.bill import Bill, bill_of
from dask_knot.prices.money import NOTHING, Money
from dask_knot.prices.pricelist import PriceList
from dask_knot.prices.tariff import Tariff
from dask_knot.run.machine import LOCAL, UNKNOWN, Machine
from dask_knot.run.run import Run
from dask_knot.runs.attendance import Attendance
from dask_knot.runs.costing import CostedJob, Costing
from dask_knot.session.engines import Engine
from dask_knot.tracking.events import ManifestFound

#: What is shown while jobs run is added up again after so many seconds, or as many for each
#: thousand attempts: that takes 30 ms, perhaps of the event loop.
FRESH = 1.0


class Spending:
    """Counts what the jobs of a session cost, those that it has watched.

    Parameters
    ----------
    engine : Engine
        Runs the jobs, and tells of their attempts.
    service : JobService
        Knows the jobs.
    run : Run
        Counts this client's own requests.
    prices : callable
        Gives what is known of prices; called when they are needed.
    epoch : callable
        The time, in seconds since the epoch.
    """

    def __init__(
        self,
        engine: Engine,
        service: JobService,
        run: Run,
        prices: Callable[[], PriceList],
        epoch: Callable[[], float] = time.time,
    ) -> None:
        self._client = engine.client
        self._service = service
        self._run = run
        self._is_parallel = engine.settings.cores > 1  # else tasks follow each other
        self._market = engine.market
        self._size = engine.settings
        self._is_here = engine.market is None
        self._region = engine.market.region if engine.market is not None else ""
        self._is_stored_there = run.store_url.startswith("s3://")
        self._prices = prices
        self._epoch = epoch
        self._attendance = Attendance()
        self._book = AttemptBook()
        self._jobs: dict[str, CostedJob] = {}
        self._lock = Lock()  # around what follows: whoever shows it asks from a thread of his own
        self._latest: tuple[int, float, Bill] | None = None

    def take(self, found: Iterable[object]) -> None:
        """Note what manifests tell; called by the thread that looks."""
        self._note_jobs()
        for event in found:
            if isinstance(event, ManifestFound):
                self._attendance.note(event.shard, event.manifest, self._is_parallel)

    def bill(self, is_open: bool = True) -> Bill:
        """Add up what all jobs did cost up to now; blocks.

        Parameters
        ----------
        is_open : bool
            Whether Batch can be asked: a call for each hundred children that haven't ended.
        """
        self._note_jobs()
        if not is_open:
            return self._add_up(self._ended())
        waiting = {job.id for job in self._service.jobs.values() if _waits(job)}
        begun = [job for job in list(self._jobs.values()) if job.id not in waiting]
        self._book.look(self._client, [id for job in begun for id, _ in job.children()])
        return self._add_up(dict(self._book.children))

    def so_far(self) -> Bill:
        """Add up what is known without asking anybody: what jobs have told when they committed.

        Cheap, and up to a second old, or one for each thousand attempts.
        """
        with self._lock:
            now, changes = self._epoch(), self._attendance.changes
            if self._latest is not None:
                as_of, made, bill = self._latest
                if as_of == changes or 0 <= now - made < FRESH * max(1, bill.attempts / 1000):
                    return bill
            bill = self._add_up(self._ended())
            self._latest = changes, now, bill
            return bill

    def spent(self) -> Money:
        """Give the sum of `so_far` for a budget.

        What nobody knows the machine of counts as what jobs of this session's size may run on.
        """
        bill = self.so_far()
        hours = sum(bill.unknown.values())
        if not hours or self._market is None:
            return bill.known
        size = Resources(self._size.cores, self._size.memory, self._size.gpus)
        hour = Tariff(self._prices(), self._market).full(size)
        return bill.known + (NOTHING if hour.is_unknown else hour * (hours / size.vcpus))

    def words(self) -> str:
        """Say the sum of `so_far`; nothing where jobs cost nothing."""
        return "" if self._is_here and not self._is_stored_there else str(self.so_far().total)

    def stages(self) -> Mapping[str, Money]:
        """Give what is known of the cost of stages; none where jobs cost nothing."""
        return {} if self._is_here else self.so_far().stages

    def _note_jobs(self) -> None:
        """Keep what jobs there were: the service forgets those of long ago."""
        service = self._service
        for id, job in service.jobs.items():
            if job.id not in self._jobs:
                self._jobs[job.id] = CostedJob(id, job.id, job.size, job.resources)
        for shard, job in service.twins.jobs.items():
            if job.id not in self._jobs:
                one = CostedJob(shard.stage, job.id, 1, job.resources, shard.index)
                self._jobs[job.id] = one

    def _ended(self) -> dict[str, Child]:
        """Give what Batch has told of children that had ended by then: that stays as it is."""
        return {id: child for id, child in list(self._book.children.items()) if child.is_over}

    def _add_up(self, known: dict[str, Child]) -> Bill:
        here = Machine(lifecycle=LOCAL) if self._is_here else UNKNOWN
        costing = Costing(self._attendance, known, here, self._epoch())
        attempts = costing.attempts(list(self._jobs.values()))
        requests = (
            self._attendance.requests() + self._run.traffic()[0] if self._is_stored_there else {}
        )
        prices = None if self._is_here else self._prices()
        notes = [*costing.notes, *(prices.notes if prices is not None else ())]
        asked = requests if self._is_stored_there else {}  # a folder costs nothing
        return bill_of(attempts, asked, prices, self._region, notes)


def _waits(job: StageJob) -> bool:
    """Tell whether no child of a job has ever had a machine, as far as Batch told."""
    return bool(job.counts) and {*job.counts} <= {JobStatus.SUBMITTED, JobStatus.PENDING}
