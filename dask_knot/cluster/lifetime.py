"""Lifetime: a session, Dask's scheduler and the gateway, which are opened and ended together.

It runs in the event loop of the cluster. What blocks, such as the store and Batch, is asked in
threads. Jobs end once, and then what is left of the run, however often it is asked for.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import dask
from distributed.security import Security

from dask_knot.cluster.gateway import Gateway
from dask_knot.cluster.process import overrides
from dask_knot.cluster.scheduler import KnotScheduler
from dask_knot.dashboard.signs import SignsOfLife
from dask_knot.dashboard.terminal import terminal
from dask_knot.errors import EngineError
from dask_knot.internals import keep_folder, resize_worker
from dask_knot.planning.passes import affordable_passes
from dask_knot.runs.notices import announce, withdraw
from dask_knot.session.engines import sign_in
from dask_knot.session.premises import premises_of
from dask_knot.session.rehearsal import open_as_configured
from dask_knot.session.session import Session
from dask_knot.settings import checks
from dask_knot.settings.settings import Settings

logger = logging.getLogger(__name__)

#: For so many seconds who leaves waits until all is submitted that was asked for.
LONGEST_FLUSH = 60.0
#: Dask must hand every ready key to the gateway at once: Batch does the queueing.
SCHEDULING = {"distributed.scheduler.worker-saturation": "inf"}


class Lifetime:
    """The parts of a cluster from their start to their end.

    Parameters
    ----------
    settings : Settings
        What the session is opened with.
    security : Security
        TLS for Dask's own connections.
    silence_logs : int
        Level below which Dask's own log lines are not shown while it is open; 0: none.

    Attributes
    ----------
    settings : Settings
        Once it is open with what only the engine knows.
    session : Session, optional
        Runs the jobs, once it is open; afterwards it still knows of them.
    scheduler : KnotScheduler, optional
        Once it is open.
    gateway : Gateway, optional
        Once it is open.
    """

    def __init__(self, settings: Settings, security: Security, silence_logs: int) -> None:
        sign_in(settings)
        self.settings = settings
        self.session: Session | None = None
        self.scheduler: KnotScheduler | None = None
        self.gateway: Gateway | None = None
        self._security = security
        self._silence_logs = silence_logs
        self._has_overrides = False
        self._signs: SignsOfLife | None = None
        self._notice: Path | None = None
        self._following: asyncio.Future[None] | None = None
        self._flushing: asyncio.Future[None] | None = None

    @property
    def opened(self) -> Session:
        """The session, once it is there.

        Raises
        ------
        EngineError
            If the cluster hasn't started yet.
        """
        if self.session is None:
            raise EngineError(f"the cluster {self.settings.name} has not started yet: await it")
        return self.session

    @property
    def slots(self) -> int:
        """The number of jobs that may run at once."""
        return self.settings.jobs if self.session is None else self.session.slots

    async def open(self, notice: Callable[[str], None]) -> KnotScheduler:
        """Open the session, then start the scheduler and the gateway.

        Parameters
        ----------
        notice : callable
            Takes what the user should read in the log of the cluster.

        Raises
        ------
        ConfigurationError, StoreError, EngineError
            If the host is none of this machine, or the session can't be opened. `close` is still
            to be called.
        """
        passes = affordable_passes(self.settings.tempo.bandwidth, self.settings.memory)
        overrides.acquire(self._silence_logs, passes)
        self._has_overrides = True
        await asyncio.to_thread(check_host, self.settings.host)
        session = self.session = await asyncio.to_thread(open_as_configured, self.settings)
        self.settings = session.settings
        session.hooks.notice = notice
        return await self._start_servers(session)

    async def show(self, finish: Callable[[], Awaitable[None]]) -> None:
        """Tell the user and other processes that all is open.

        Parameters
        ----------
        finish : callable
            Closes the cluster: called when its scheduler ends before it.
        """
        assert self.scheduler is not None
        if self.settings.progress:
            self._signs = SignsOfLife(self.opened, terminal)
            self._signs.start()
        name, address = self.settings.name, self.scheduler.address
        self._notice = await asyncio.to_thread(announce, name, address, premises_of(self.opened))
        self._following = asyncio.ensure_future(self._follow(self.scheduler, finish))

    async def close(self, ends: bool = False) -> None:
        """Leave a named run, or end an unnamed one; stop gateway and scheduler.

        Parameters
        ----------
        ends : bool
            Whether all jobs of a named run are ended, too; so they are after `Client.shutdown`.
        """
        if self._signs is not None:
            self._signs.close()
        if self._following is not None:
            self._following.cancel()
        if self._notice is not None:
            await asyncio.to_thread(withdraw, self._notice)
        session, ending = self.session, None
        ends = ends or (self.scheduler is not None and self.scheduler.is_shut_down)
        if session is not None and session.jobs_stay and self._leaves(ends):
            await self._flush()
        if self.scheduler is not None:
            self.scheduler.leave()
        if session is not None:
            await session.leave()
            parting = self._parting(session, ends)
            ending = asyncio.ensure_future(asyncio.to_thread(parting))
        try:
            await self._end_servers()
        finally:
            if session is not None and ending is not None:
                await ending
                await asyncio.to_thread(session.end)
            if self._has_overrides:
                self._has_overrides = False
                overrides.release()

    def hurry(self) -> None:
        """Wait no longer until all is submitted: whoever closes has lost patience."""
        if self._flushing is not None:
            self._flushing.cancel()

    def note_interruption(self) -> None:
        """Note that Ctrl-C is why all this is about to be closed, if so it is."""
        if self.session is not None:
            self.session.note_interruption()

    def end_now(self) -> None:
        """Leave a named run, or end an unnamed one, without the event loop; blocks.

        For a process that ends, or whose event loop has ended: `close` waits for more than this.
        """
        if self.session is not None:
            self._parting(self.session, ends=False)()
            self.session.end()
        if self._notice is not None:
            withdraw(self._notice)

    def _leaves(self, ends: bool) -> bool:
        return self.settings.is_named and not ends

    def _parting(self, session: Session, ends: bool) -> Callable[[], None]:
        if self._leaves(ends):
            return session.let_go
        return session.end_run_jobs if self.settings.is_named else session.end_jobs

    async def _flush(self) -> None:
        """Submit what was asked for and isn't submitted yet, where jobs go on without a client."""
        if self.scheduler is None:
            return
        self._flushing = asyncio.ensure_future(self.scheduler.flush())
        await asyncio.wait([self._flushing], timeout=LONGEST_FLUSH)
        if not self._flushing.done():
            self._flushing.cancel()
            logger.warning(
                "not everything was submitted within %d s: running the same script again "
                "submits the rest",
                LONGEST_FLUSH,
            )
        elif not self._flushing.cancelled() and (error := self._flushing.exception()):
            logger.warning("not everything was submitted: %s", error)

    def abandon(self) -> None:
        """Leave the folders of scheduler and gateway to the process of which this is a fork."""
        for server in (self.scheduler, self.gateway):
            if server is not None:
                keep_folder(server)

    def resize(self, jobs: int) -> KnotScheduler:
        """Let another number of jobs run at once; return the scheduler, which then shows as many.

        Raises
        ------
        EngineError
            If the cluster hasn't started yet.
        """
        self.opened.resize(jobs)
        assert self.scheduler is not None
        assert self.gateway is not None
        resize_worker(self.gateway, self.scheduler, jobs * self.settings.cores)
        return self.scheduler

    async def _start_servers(self, session: Session) -> KnotScheduler:
        settings = session.settings
        with dask.config.set(SCHEDULING):
            scheduler = self.scheduler = KnotScheduler(
                session,
                host=settings.host,
                port=0,
                dashboard_address=dashboard_address(settings.host, settings.dashboard_address),
                dashboard=settings.dashboard_address is not None,
                security=self._security,
            )
        await scheduler
        self.gateway = Gateway(
            scheduler,
            nthreads=settings.jobs * settings.cores,
            memory_limit=None,
            host=settings.host,
            dashboard=False,
            security=self._security,
        )
        await self.gateway
        return scheduler

    async def _follow(
        self, scheduler: KnotScheduler, finish: Callable[[], Awaitable[None]]
    ) -> None:
        """Close when the scheduler does: `Client.shutdown` in another process ends it."""
        await scheduler.finished()
        self._following = None
        await finish()

    async def _end_servers(self) -> None:
        if self.gateway is not None:
            await self.gateway.close()
        if self.scheduler is not None:
            await self.scheduler.close()


def check_host(host: str) -> None:
    """Listen for a moment, to find out before anything is started whether Dask can.

    Raises
    ------
    ConfigurationError
        If it is no name or address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.bind(address)
    except OSError as error:
        expected = f"a name or address of this machine ({error.strerror})"
        raise checks.wrong("host", host, expected) from error


def dashboard_address(host: str, address: str | None) -> str:
    """Keep an address that names no host to the host of the scheduler; any port is as good as none.

    Dask serves health and metrics in any case.
    """
    address = address or ":0"
    return f"{host}{address}" if address.startswith(":") else address
