"""KnotCluster: joins the parts, decides nothing."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import dask
from distributed.core import Status, rpc
from distributed.security import Security
from distributed.utils import sync

from dask_knot.cluster.discovery import announce, withdraw
from dask_knot.cluster.display import Display
from dask_knot.cluster.ending import close_clients, hear_signals, open_here
from dask_knot.cluster.gateway import Gateway
from dask_knot.cluster.hosts import check_host
from dask_knot.cluster.life import Life
from dask_knot.cluster.overrides import overrides
from dask_knot.cluster.scheduler import KnotScheduler
from dask_knot.dashboard.address import dashboard_address
from dask_knot.dashboard.terminal import terminal
from dask_knot.errors import EngineError
from dask_knot.internals import keep_folder, log_of, start_loop, stop_loop
from dask_knot.session.opening import open_session
from dask_knot.session.session import Session
from dask_knot.settings import checks
from dask_knot.settings.defaults import ensure_file
from dask_knot.settings.settings import resolve

# As Dask's own packages do it: on import, and of the cluster only, as jobs need no such file.
ensure_file()

#: Dask must hand every ready key to the gateway at once: Batch does the queueing.
SCHEDULING = {"distributed.scheduler.worker-saturation": "inf"}


class KnotCluster(Display):
    """A Dask cluster whose tasks run as array jobs of AWS Batch, or as processes here.

    Every argument defaults to ``dask.config`` under ``knot.``; ``knot.yaml`` explains each one.

    Parameters
    ----------
    engine : {"local", "docker", "aws"}, optional
        What runs the jobs: processes or containers on this machine, or AWS Batch.
    name : str, optional
        Name of the run; a named run stays in the store after `close`.
    jobs : int, optional
        Jobs that may run at once.
    cores : int, optional
        vCPUs of a job.
    processes : bool, optional
        Run the tasks of a job with several cores in processes instead of threads.
    memory : str or int, optional
        Memory of a job, in bytes or as ``"4 GiB"``.
    gpus : int, optional
        GPUs of a job.
    timeout : str or float, optional
        Seconds after which a job is ended, 60 at least.
    environment : mapping of str to str, optional
        Environment variables of the jobs.
    store : str or path, optional
        Folder or URL where values are kept.
    asynchronous : bool
        Whether this is used with ``async with`` inside an event loop.
    security : Security or bool, optional
        TLS for Dask's own connections; True: with a certificate that is made for this cluster.
    silence_logs : int, str or bool
        Level below which Dask's own log lines are not shown while the cluster is open.
    **others
        Any other setting of ``knot.yaml``, with ``_`` for ``-``: attempts, host,
        dashboard_address, part_interval, and those under the name of the engine: image, stack, ...

    Raises
    ------
    ConfigurationError
        If a setting is unknown or wrong; the message names the valid ones.
    StoreError
        If the store can't be written.

    Examples
    --------
    >>> from dask.distributed import Client
    >>> with KnotCluster(jobs=2) as cluster, Client(cluster) as client:  # doctest: +SKIP
    ...     client.submit(sum, [1, 2]).result()
    3
    """

    def __init__(
        self,
        engine: str | None = None,
        *,
        asynchronous: bool = False,
        loop: Any = None,
        security: Security | bool | None = None,
        silence_logs: int | str | bool = logging.WARNING,
        **others: Any,
    ) -> None:
        self.settings = resolve({"engine": engine, **others})
        self.security = checks.security("security", security)
        self.scheduler: KnotScheduler | None = None
        self._gateway: Gateway | None = None
        self._session: Session | None = None
        self._life: Life | None = None
        self._silence_logs = checks.log_level("silence_logs", silence_logs)
        self._has_overrides = False
        self._closing: asyncio.Future[None] | None = None
        self._following: asyncio.Future[None] | None = None
        self._notice: Path | None = None
        self._pid = os.getpid()
        hear_signals()
        super().__init__(asynchronous=asynchronous, loop=loop, name=self.settings.name, quiet=True)
        if not self.called_from_running_loop:
            start_loop(self)
            try:
                self.sync(self._start)
            except BaseException:
                stop_loop(self)
                raise

    def __await__(self) -> Generator[Any, Any, KnotCluster]:
        async def started() -> KnotCluster:
            if self.status == Status.created:
                await self._start()
            return self

        return started().__await__()

    async def _start(self) -> None:
        settings = self.settings
        overrides.acquire(self._silence_logs)
        self._has_overrides = True
        try:
            await asyncio.to_thread(check_host, settings.host)
            session = self._session = await asyncio.to_thread(open_session, settings)
            self.settings = settings = session.settings
            session.hooks.notice = log_of(self)
            with dask.config.set(SCHEDULING):
                self.scheduler = KnotScheduler(
                    session,
                    host=settings.host,
                    port=0,
                    dashboard_address=dashboard_address(settings.host, settings.dashboard_address),
                    dashboard=settings.dashboard_address is not None,
                    security=self.security,
                )
            await self.scheduler
            self._gateway = Gateway(
                self.scheduler,
                session.store,
                settings.name,
                session.first_number,
                nthreads=settings.jobs * settings.cores,
                memory_limit=None,
                host=settings.host,
                dashboard=False,
                security=self.security,
            )
            await self._gateway
            self.scheduler_comm = rpc(
                self.scheduler.address,
                connection_args=self.security.get_connection_args("client"),
            )
            await super()._start()
        except BaseException:
            await self._end()
            self.status = Status.closed
            raise
        open_here.add(self)
        if settings.progress:
            self._life = Life(session, terminal)
            self._life.start()
        self._notice = await asyncio.to_thread(announce, self.name, self.scheduler.address)
        self._following = asyncio.ensure_future(self._follow(self.scheduler))

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
        if self._life is not None:
            self._life.close()
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

    def close(self, timeout: float | None = None) -> Any:
        """End all jobs, delete the values of an unnamed run, and stop scheduler and gateway."""
        if self.asynchronous or os.getpid() != self._pid:
            return super().close(timeout)
        close_clients(self)
        super().close(timeout)
        stop_loop(self)
        return None

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
