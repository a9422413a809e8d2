"""SessionCluster: the Dask cluster of given settings, as Dask's clients and its users know it.

It joins the parts and decides nothing. Everything starts and ends in one event loop: that of a
thread of its own or, with ``asynchronous``, the caller's. `close` may come from every thread, from
the scheduler that a client shuts down, from a signal and from the end of the interpreter, several
of them at once.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Generator, Mapping
from typing import Any, TypeVar

from distributed.core import Status, rpc
from distributed.deploy.cluster import Cluster
from distributed.objects import SchedulerInfo
from distributed.security import Security
from distributed.utils import NoOpAwaitable

from dask_knot.cluster.lifetime import Lifetime
from dask_knot.cluster.previews import foresee_plan
from dask_knot.cluster.process import close_clients, close_in_loop, forget_clients
from dask_knot.cluster.scaling import Adaptation, Scaling
from dask_knot.cluster.scheduler import KnotScheduler
from dask_knot.dashboard.jobtable import JobTable, job_table
from dask_knot.errors import EngineError
from dask_knot.graphs.opening import send_graph
from dask_knot.internals import is_shutdown, log_of, start_loop, stop_loop
from dask_knot.run.frames import brief, shorten
from dask_knot.session.process import hear_signals, open_here
from dask_knot.settings.settings import Settings

C = TypeVar("C", bound="SessionCluster")


class SessionCluster(Cluster):  # type: ignore[misc]
    """A Dask cluster whose tasks a session runs as jobs.

    Parameters
    ----------
    settings : Settings
        What the session is opened with.
    security : Security
        TLS for Dask's own connections.
    silence_logs : int
        Level below which Dask's own log lines are not shown while it is open; 0: none.
    asynchronous : bool
        Whether it is used inside an event loop.
    loop : IOLoop, optional
        Tornado's event loop to use.
    """

    def __init__(
        self,
        settings: Settings,
        security: Security,
        silence_logs: int,
        *,
        asynchronous: bool = False,
        loop: Any = None,
    ) -> None:
        self.security = security
        self._lifetime = Lifetime(settings, security, silence_logs)
        self._closing: asyncio.Future[None] | None = None
        self._ends = False
        self._pid = os.getpid()
        hear_signals()
        super().__init__(asynchronous=asynchronous, loop=loop, name=settings.name, quiet=True)
        if not self.called_from_running_loop:
            start_loop(self)
            try:
                self.sync(self._start)
            except BaseException:
                stop_loop(self)
                raise

    def __await__(self: C) -> Generator[Any, Any, C]:
        async def started() -> C:
            if self.status == Status.created:
                await self._start()
            return self

        return started().__await__()

    @property
    def settings(self) -> Settings:
        """The settings in force; once it is open, with what the engine found out."""
        return self._lifetime.settings

    @property
    def scheduler(self) -> KnotScheduler | None:
        """Dask's scheduler, once it is open."""
        return self._lifetime.scheduler

    def scale(
        self,
        n: int | None = None,
        jobs: int | None = None,
        memory: str | int | None = None,
        cores: int | None = None,
    ) -> Any:
        """Change how many jobs may run at once. Give one of the arguments.

        Parameters
        ----------
        n, jobs : int
            The number of jobs. Both names mean the same.
        memory : str or int
            As many jobs as have this much memory together, in bytes or as ``"64 GiB"``.
        cores : int
            As many jobs as have this many vCPUs together.

        Raises
        ------
        ConfigurationError
            If the value isn't a number of at least 1. Idle jobs don't exist, so 0 isn't needed.
        EngineError
            If the cluster isn't open.
        """
        given = {"n": n, "jobs": jobs, "memory": memory, "cores": cores}
        return self._resize(Scaling(self.settings).jobs_of(given))

    def adapt(self, **limits: Any) -> Adaptation:
        """Run as many jobs as there is work for, up to a maximum.

        Jobs exist only while they have work, so they scale up and down by themselves. Only the
        maximum has an effect.

        Parameters
        ----------
        maximum, maximum_jobs, maximum_cores, maximum_memory : optional
            The most that may run at once. If you give several, the smallest counts; if none, the
            present number stays.
        minimum, minimum_jobs, minimum_cores, minimum_memory : optional
            Accepted and checked, so that scripts for dask-jobqueue run. No job is kept idle.
        interval, wait_count, target_duration, worker_key : optional
            Accepted for the same reason, and ignored.

        Raises
        ------
        TypeError
            If there is no such argument.
        ConfigurationError
            If a value isn't a number, or the minimum is above the maximum.
        EngineError
            If the cluster isn't open.
        """
        adaptation = Scaling(self.settings).adaptation_of(limits, self._lifetime.slots)
        self._resize(adaptation.maximum)
        self._adaptive = adaptation
        return adaptation

    @property
    def plan(self) -> set[int]:
        """Numbers of the jobs that may run at once."""
        return set(range(self._lifetime.slots))

    @property
    def jobs(self) -> JobTable:
        """A table with a row for each stage, with its tasks, its jobs by state, and its time.

        Raises
        ------
        EngineError
            If the cluster hasn't started yet.
        """
        session = self._lifetime.opened
        known = session.jobs, session.progress.tallies(), self.status == Status.closed
        return job_table(*known, session.spending.stages())

    def logs(self, what: Any = None) -> Any:
        """Return the last lines of jobs' logs, by the id of the job that wrote them.

        Give the id of a job, or a key or future for the job that computes it. Without an argument
        you get the newest jobs, as with `get_logs`.

        Raises
        ------
        KeyError
            If there is no such job.
        EngineError
            If the cluster isn't open.
        """
        return self.sync(asyncio.to_thread, self._lifetime.opened.logs, getattr(what, "key", what))

    def job_script(self) -> str:
        """Return the exact requests that the cluster sends to Batch, for a stage of two shards.

        Raises
        ------
        EngineError
            If the cluster hasn't started yet.
        """
        return self._lifetime.opened.job_script()

    def plan_of(self, *collections: Any) -> Any:
        """Show how some collections would be cut into jobs if you computed them together.

        Nothing runs. The plan prints as text in a terminal and as a picture in a notebook.

        Raises
        ------
        EngineError
            If the cluster isn't open.
        """
        return self.sync(foresee_plan, self._lifetime.opened, send_graph(collections))

    async def _get_logs(
        self, cluster: bool = True, scheduler: bool = True, workers: Any = True
    ) -> Mapping[str, str]:
        logs = await super()._get_logs(cluster=cluster, scheduler=scheduler, workers=False)
        if workers and self._lifetime.session is not None:
            chosen = None if workers is True else set(workers)
            logs.update(await asyncio.to_thread(self._lifetime.session.logs_of, chosen))
        return logs  # type: ignore[no-any-return]

    @brief
    def sync(self, func: Any, *args: Any, **options: Any) -> Any:
        """Call something in the event loop of the cluster, as long as there is one.

        Raises
        ------
        EngineError
            If the cluster is closed, or this is a fork of the process that it belongs to.
        """
        if os.getpid() != self._pid:
            belongs = f"the cluster {self.name} belongs to process {self._pid}, of which this is"
            raise EngineError(f"{belongs} a fork: connect with Client({self.scheduler_address!r})")
        if self.status == Status.closed:
            raise EngineError(f"the cluster {self.name} is closed: make a new one")
        return super().sync(func, *args, **options)

    def close(self, timeout: float | None = None) -> Any:
        """Close. With a name, results stay and jobs on AWS continue; else both are gone."""
        self._lifetime.note_interruption()
        self._ends |= is_shutdown(sys._getframe(1))
        if self.asynchronous or os.getpid() != self._pid:
            return super().close(timeout)
        close_clients(self)
        try:
            super().close(timeout)
        except BaseException as error:  # such as Ctrl-C
            self.loop.add_callback(self._lifetime.hurry)
            shorten(error)
            raise error
        stop_loop(self)

    def close_at_exit(self, timeout: float) -> None:
        """Close while the interpreter ends, if the event loop still runs, whoever runs it."""
        close_in_loop(self, self._close, timeout)

    def end_now(self) -> None:
        """Leave a named run, or end an unnamed one, without the event loop; blocks."""
        self._lifetime.end_now()

    def abandon(self) -> None:
        """Leave everything to the process of which this is a fork."""
        self.status = Status.closed
        forget_clients(self)
        self._lifetime.abandon()

    async def _start(self) -> None:
        try:
            scheduler = await self._lifetime.open(log_of(self))
            arguments = self.security.get_connection_args("client")
            self.scheduler_comm = rpc(scheduler.address, connection_args=arguments)
            await super()._start()
        except BaseException:
            await self._lifetime.close()
            self.status = Status.closed
            raise
        open_here.add(self)
        await self._lifetime.show(self._close)

    async def _close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close_once())
        await asyncio.shield(self._closing)  # for every thread that closes

    async def _close_once(self) -> None:
        if self.status == Status.closed:
            return
        self.status = Status.closing
        await self._lifetime.close(self._ends)
        await super()._close()
        open_here.discard(self)

    def _resize(self, jobs: int) -> Any:
        """Let another number of jobs run at once, and let Dask show as many workers."""

        def resize() -> NoOpAwaitable:
            self.scheduler_info = SchedulerInfo(self._lifetime.resize(jobs).identity())
            return NoOpAwaitable()

        # Not `sync` in the event loop: by Dask's custom the call need not be awaited there.
        return resize() if self.asynchronous else self.sync(resize)
