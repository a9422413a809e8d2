"""SessionCluster: a Dask cluster on a session, from the start of both to their end.

Everything starts and ends in one event loop: that of a thread of its own or, with ``asynchronous``,
the caller's. What blocks, such as the store and Batch, is asked in threads. `close` may come from
every thread, from the scheduler that a client shuts down, from a signal and from the end of the
interpreter, several of them at once: jobs end once, and then what is left of the run.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any, TypeVar

import dask
from distributed.core import Status, rpc
from distributed.deploy.cluster import Cluster
from distributed.objects import SchedulerInfo
from distributed.security import Security
from distributed.utils import NoOpAwaitable, sync

from dask_knot.cluster.addresses import check_host, dashboard_address
from dask_knot.cluster.discovery import announce, withdraw
from dask_knot.cluster.gateway import Gateway
from dask_knot.cluster.process import close_clients, hear_signals, open_here, overrides
from dask_knot.cluster.scheduler import KnotScheduler
from dask_knot.dashboard.signs import SignsOfLife
from dask_knot.dashboard.terminal import terminal
from dask_knot.errors import EngineError
from dask_knot.internals import keep_folder, log_of, resize_worker, start_loop, stop_loop
from dask_knot.session.opening import open_session
from dask_knot.session.session import Session
from dask_knot.settings.settings import Settings

#: Dask must hand every ready key to the gateway at once: Batch does the queueing.
SCHEDULING = {"distributed.scheduler.worker-saturation": "inf"}

C = TypeVar("C", bound="SessionCluster")


class SessionCluster(Cluster):  # type: ignore[misc]
    """Dask's scheduler and the gateway, on a session that runs the jobs.

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

    Attributes
    ----------
    settings : Settings
        Once it is open with what only the engine knows.
    scheduler : KnotScheduler, optional
        Once it is open.
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
        self.settings = settings
        self.security = security
        self.scheduler: KnotScheduler | None = None
        self._gateway: Gateway | None = None
        self._session: Session | None = None
        self._signs: SignsOfLife | None = None
        self._silence_logs = silence_logs
        self._has_overrides = False
        self._closing: asyncio.Future[None] | None = None
        self._following: asyncio.Future[None] | None = None
        self._notice: Path | None = None
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

    async def _start(self) -> None:
        overrides.acquire(self._silence_logs)
        self._has_overrides = True
        try:
            await asyncio.to_thread(check_host, self.settings.host)
            session = self._session = await asyncio.to_thread(open_session, self.settings)
            self.settings = session.settings
            session.hooks.notice = log_of(self)
            scheduler = await self._start_servers(session)
            self.scheduler_comm = rpc(
                scheduler.address, connection_args=self.security.get_connection_args("client")
            )
            await super()._start()
        except BaseException:
            await self._end()
            self.status = Status.closed
            raise
        open_here.add(self)
        if self.settings.progress:
            self._signs = SignsOfLife(session, terminal)
            self._signs.start()
        self._notice = await asyncio.to_thread(announce, self.name, scheduler.address)
        self._following = asyncio.ensure_future(self._follow(scheduler))

    async def _start_servers(self, session: Session) -> KnotScheduler:
        settings = session.settings
        with dask.config.set(SCHEDULING):
            scheduler = self.scheduler = KnotScheduler(
                session,
                host=settings.host,
                port=0,
                dashboard_address=dashboard_address(settings.host, settings.dashboard_address),
                dashboard=settings.dashboard_address is not None,
                security=self.security,
            )
        await scheduler
        self._gateway = Gateway(
            scheduler,
            session.run,
            session.first_number,
            nthreads=settings.jobs * settings.cores,
            memory_limit=None,
            host=settings.host,
            dashboard=False,
            security=self.security,
        )
        await self._gateway
        return scheduler

    async def _follow(self, scheduler: KnotScheduler) -> None:
        """Close when the scheduler does: `Client.shutdown` in another process ends it."""
        await scheduler.finished()
        self._following = None
        await self._close()

    async def _close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close_once())
        await asyncio.shield(self._closing)  # for every thread that closes

    async def _close_once(self) -> None:
        if self.status == Status.closed:
            return
        self.status = Status.closing
        if self._signs is not None:
            self._signs.close()
        if self._following is not None:
            self._following.cancel()
        if self._notice is not None:
            await asyncio.to_thread(withdraw, self._notice)
        await self._end()
        await super()._close()
        open_here.discard(self)

    async def _end(self) -> None:
        session, ending = self._session, None
        if self.scheduler is not None:
            self.scheduler.leave()
        if session is not None:
            await session.leave()
            ending = asyncio.ensure_future(asyncio.to_thread(session.end_jobs))
        try:
            await self._end_servers()
        finally:
            if session is not None and ending is not None:
                await ending
                await asyncio.to_thread(session.end)
            if self._has_overrides:
                self._has_overrides = False
                overrides.release()

    async def _end_servers(self) -> None:
        if self._gateway is not None:
            await self._gateway.close()
        if self.scheduler is not None:
            await self.scheduler.close()

    def close(self, timeout: float | None = None) -> Any:
        """End all jobs, delete the values of an unnamed run, and stop scheduler and gateway."""
        if self.asynchronous or os.getpid() != self._pid:
            return super().close(timeout)
        close_clients(self)
        super().close(timeout)
        stop_loop(self)
        return None

    def close_in_loop(self, timeout: float) -> None:
        """Close from a thread in which the event loop doesn't run, whoever runs it."""
        if not self.called_from_running_loop:
            close_clients(self)
        sync(self.loop, self._close, callback_timeout=timeout)

    def end_now(self) -> None:
        """End all jobs and delete an unnamed run without the event loop; blocks.

        For a process that ends, or whose event loop has ended: `close` waits for more than this.
        """
        if self._session is not None:
            self._session.end()
        if self._notice is not None:
            withdraw(self._notice)

    def abandon(self) -> None:
        """Leave everything to the process of which this is a fork."""
        self.status = Status.closed
        for server in (self.scheduler, self._gateway):
            if server is not None:
                keep_folder(server)

    def sync(self, func: Any, *args: Any, **options: Any) -> Any:
        """Call something in the event loop of the cluster, as long as there is one."""
        if os.getpid() != self._pid:
            raise EngineError(
                f"the cluster {self.name} belongs to process {self._pid}, of which this is a fork: "
                f"connect to it with Client({self.scheduler_address!r})"
            )
        if self.status == Status.closed:
            raise EngineError(f"the cluster {self.name} is closed: make a new one")
        return super().sync(func, *args, **options)

    @property
    def _open_session(self) -> Session:
        """The session, once it is there.

        Raises
        ------
        EngineError
            If the cluster hasn't started yet.
        """
        if self._session is None:
            raise EngineError(f"the cluster {self.name} has not started yet: await it")
        return self._session

    @property
    def _slots(self) -> int:
        """The number of jobs that may run at once."""
        return self.settings.jobs if self._session is None else self._session.slots

    def _resize(self, jobs: int) -> Any:
        """Let another number of jobs run at once, and let Dask show as many workers.

        Raises
        ------
        EngineError
            If the cluster isn't open.
        """

        def resize() -> NoOpAwaitable:
            self._open_session.resize(jobs)
            assert self.scheduler is not None
            assert self._gateway is not None
            resize_worker(self._gateway, self.scheduler, jobs * self.settings.cores)
            self.scheduler_info = SchedulerInfo(self.scheduler.identity())
            return NoOpAwaitable()

        # Not `sync` in the event loop: by Dask's custom the call need not be awaited there.
        return resize() if self.asynchronous else self.sync(resize)
