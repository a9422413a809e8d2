"""How many jobs may run at once, asked for as in dask-jobqueue: in jobs, cores or memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dask.utils import format_bytes
from distributed.core import Status
from distributed.deploy.cluster import Cluster
from distributed.objects import SchedulerInfo
from distributed.utils import NoOpAwaitable

from dask_knot.cluster.gateway import Gateway
from dask_knot.cluster.jobtable import ENDED, JobTable, job_table
from dask_knot.cluster.scheduler import KnotScheduler
from dask_knot.errors import ConfigurationError, EngineError
from dask_knot.internals import resize_worker
from dask_knot.plural import many
from dask_knot.session.session import Session
from dask_knot.settings import checks
from dask_knot.settings.settings import Settings

#: Of Dask's `Adaptive`: when workers are started and stopped, which no one has to decide here.
TIMING = ("interval", "wait_count", "target_duration", "worker_key")
UNITS = ("", "_jobs", "_cores", "_memory")
LIMITS = tuple(f"{end}{unit}" for end in ("minimum", "maximum") for unit in UNITS)
_STARTED = ("STARTING", "RUNNING")


@dataclass(frozen=True, slots=True)
class Adaptation:
    """What `adapt` has set, with the face of Dask's `Adaptive`: jobs come and go by themselves."""

    minimum: int
    maximum: int

    def stop(self) -> None:
        """Do nothing: the maximum stays until `scale` or `adapt` change it."""


class Scaling(Cluster):  # type: ignore[misc]
    """The part of a cluster that says how many jobs may run at once."""

    settings: Settings
    scheduler: KnotScheduler | None
    _gateway: Gateway | None
    _session: Session | None

    def scale(
        self,
        n: int | None = None,
        jobs: int | None = None,
        memory: str | int | None = None,
        cores: int | None = None,
    ) -> Any:
        """Let another number of jobs run at once.

        Parameters
        ----------
        n, jobs : int
            How many; the two names mean the same.
        memory : str or int
            So many that they have this much memory together, in bytes or as ``"64 GiB"``.
        cores : int
            So many that they have this many vCPUs together.

        Raises
        ------
        ConfigurationError
            If a number is none, or less than 1: jobs exist only while they have work, so there is
            nothing to scale down to.
        EngineError
            If the cluster isn't open.
        """
        given = {"n": n, "jobs": jobs, "memory": memory, "cores": cores}
        wanted = [
            self._in_jobs(name, value, math.ceil)
            for name, value in given.items()
            if value is not None
        ]
        if not wanted:
            raise ConfigurationError(
                "scale() needs to know how many: scale(10), scale(jobs=10), scale(cores=40) "
                'or scale(memory="160 GiB")'
            )
        return self._resize(max(wanted))

    def adapt(self, **limits: Any) -> Adaptation:
        """Let as many jobs run as there is work for, up to a maximum.

        Jobs exist only while they have work, so there is nothing to start or stop, and nothing is
        kept idle: of the numbers only the maximum matters.

        Parameters
        ----------
        maximum, maximum_jobs, maximum_cores, maximum_memory : optional
            The most that may run at once: the least of what is given, or else the present number.
        minimum, minimum_jobs, minimum_cores, minimum_memory : optional
            Taken for the sake of dask-jobqueue's scripts, and checked; no job waits for work here.
        interval, wait_count, target_duration, worker_key : optional
            Taken as well: there is nothing to decide from time to time.

        Raises
        ------
        TypeError
            If there is no such argument.
        ConfigurationError
            If a number is none, or the minimum is above the maximum.
        EngineError
            If the cluster isn't open.
        """
        if unknown := sorted(set(limits) - {*LIMITS, *TIMING}):
            raise TypeError(
                f"adapt() takes no argument {', '.join(unknown)}; there are: "
                f"{', '.join((*LIMITS, *TIMING))}"
            )
        least = max(self._limits("minimum", limits, math.ceil), default=0)
        most = min(self._limits("maximum", limits, math.floor), default=max(self._jobs, least))
        if least > most:
            raise ConfigurationError(
                f"adapt() needs a maximum that is not below the minimum: at least {least} and at "
                f"most {many('job', most)} of {self._size} can't be both"
            )
        self._resize(most)
        self._adaptive = Adaptation(least, most)
        return self._adaptive

    def wait_for_workers(self, n_workers: int, timeout: float | None = None) -> Any:
        """Return at once: jobs start when there is work, and never before.

        Parameters
        ----------
        n_workers : int
            Jobs that may run at once.
        timeout : float, optional
            Taken as Dask does; nothing is waited for.

        Raises
        ------
        ConfigurationError
            If fewer jobs may run at once: Dask would wait for ever.
        """
        if checks.count("n_workers", n_workers) > self._jobs:
            raise ConfigurationError(
                f"{many('job', n_workers)} will never run at once, as at most {self._jobs} may: "
                f"call cluster.scale({n_workers}) first"
            )
        return NoOpAwaitable() if self.asynchronous else None

    @property
    def plan(self) -> set[int]:
        """Numbers of the jobs that may run at once."""
        return set(range(self._jobs))

    @property
    def requested(self) -> set[int]:
        """Numbers of the jobs that there is work for: submitted, and not over."""
        left = sum(
            count for row in self.jobs for state, count in row.counts.items() if state not in ENDED
        )
        return set(range(min(left, self._jobs)))

    @property
    def observed(self) -> set[int]:
        """Numbers of the jobs that run."""
        running = sum(row.counts.get(state, 0) for row in self.jobs for state in _STARTED)
        return set(range(min(running, self._jobs)))

    @property
    def jobs(self) -> JobTable:
        """A table of the array jobs: what runs in them, and their children by state."""
        session = self._open_session
        # Copies: the loop goes on meanwhile.
        jobs, tallies = dict(session.jobs), session.tracker.tallies()
        return job_table(jobs, tallies, self.status == Status.closed)

    @property
    def _jobs(self) -> int:
        return self._session.slots if self._session else self.settings.jobs

    @property
    def _size(self) -> str:
        return f"{self.settings.cores} vCPU and {format_bytes(self.settings.memory)}"

    @property
    def _open_session(self) -> Session:
        """The session, once it is there."""
        if self._session is None:
            raise EngineError(f"the cluster {self.name} has not started yet: await it")
        return self._session

    def _limits(
        self, end: str, given: Mapping[str, Any], rounded: Callable[[float], int]
    ) -> list[int]:
        """Read all limits of one kind, in jobs; those that are none say nothing."""
        found = {unit: given.get(f"{end}{unit}") for unit in UNITS}
        return [
            self._in_jobs(f"{end}{unit}", value, rounded, 1 if end == "maximum" else 0)
            for unit, value in found.items()
            if value is not None and value != math.inf
        ]

    def _in_jobs(
        self, name: str, value: Any, rounded: Callable[[float], int], least: int = 1
    ) -> int:
        """Turn an amount of something into a number of jobs, which have some of it each."""
        if value == 0 and least:
            raise checks.wrong(
                name, value, "1 at least: jobs exist only while they have work, so none idles"
            )
        if name.endswith("memory"):
            size = checks.memory(name, value) if value else 0
            jobs = rounded((size or 0) / self.settings.memory)
        else:
            each = self.settings.cores if name.endswith("cores") else 1
            jobs = rounded(checks.count(name, value, least) / each)
        if jobs < least:
            raise checks.wrong(name, value, f"enough for one job of {self._size} at least")
        if jobs > checks.MOST_JOBS:
            raise checks.wrong(name, value, f"for at most {checks.MOST_JOBS:,} jobs")
        return jobs

    def _resize(self, jobs: int) -> Any:
        def resize() -> NoOpAwaitable:
            session = self._open_session
            session.resize(jobs)
            nthreads = jobs * self.settings.cores
            assert self.scheduler is not None
            assert self._gateway is not None
            resize_worker(self._gateway, self.scheduler, nthreads)
            self.scheduler_info = SchedulerInfo(self.scheduler.identity())
            return NoOpAwaitable()

        # Not `sync` in the event loop: by Dask's custom the call need not be awaited there.
        return resize() if self.asynchronous else self.sync(resize)
