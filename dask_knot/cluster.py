"""KnotCluster: joins the parts, decides nothing."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import weakref
from collections.abc import Generator, Mapping
from typing import Any, ClassVar

import dask
from dask.utils import format_bytes
from distributed.core import Status, rpc
from distributed.deploy.cluster import Cluster
from distributed.security import Security

from dask_knot import settings as configuration
from dask_knot.annotations import Bounds
from dask_knot.assembly import Assembly, assemble
from dask_knot.foreseen import foresee_plan
from dask_knot.gateway import Gateway
from dask_knot.graphs import send_graph
from dask_knot.jobtable import JobTable, job_table
from dask_knot.overrides import overrides
from dask_knot.scheduler import KnotScheduler
from dask_knot.showing.address import dashboard_address

#: Dask must hand every ready key to the gateway at once: Batch does the queueing.
SCHEDULING = {"distributed.scheduler.worker-saturation": "inf"}


class KnotCluster(Cluster):  # type: ignore[misc]
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
    security : Security, optional
        TLS for Dask's own connections.
    silence_logs : int or bool
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

    _open: ClassVar[weakref.WeakSet[KnotCluster]] = weakref.WeakSet()

    def __init__(
        self,
        engine: str | None = None,
        *,
        asynchronous: bool = False,
        loop: Any = None,
        security: Security | None = None,
        silence_logs: int | bool = logging.WARNING,
        **others: Any,
    ) -> None:
        self.settings = configuration.resolve({"engine": engine, **others})
        self.security = security or Security()
        self.scheduler: KnotScheduler | None = None
        self._gateway: Gateway | None = None
        self._parts: Assembly | None = None
        self._silence_logs = silence_logs
        self._has_overrides = False
        super().__init__(asynchronous=asynchronous, loop=loop, name=self.settings.name, quiet=True)
        if not self.called_from_running_loop:
            self._loop_runner.start()
            try:
                self.sync(self._start)
            except BaseException:
                self._loop_runner.stop()
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
            parts = self._parts = await asyncio.to_thread(assemble, settings)
            self.settings = settings = parts.settings
            parts.driver.notice = self._log
            with dask.config.set(SCHEDULING):
                self.scheduler = KnotScheduler(
                    parts.driver,
                    Bounds(parts.resources, parts.engine.largest),
                    host=settings.host,
                    port=0,
                    dashboard_address=dashboard_address(settings.host, settings.dashboard_address),
                    dashboard=settings.dashboard_address is not None,
                    security=self.security,
                )
            await self.scheduler
            self._gateway = Gateway(
                self.scheduler,
                parts.store,
                settings.name,
                parts.first_number,
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
        KnotCluster._open.add(self)

    async def _close(self) -> None:
        if self.status in (Status.closing, Status.closed):
            return
        self.status = Status.closing
        KnotCluster._open.discard(self)
        await self._end()
        await super()._close()

    async def _end(self) -> None:
        if self._parts is not None:
            await self._parts.driver.close()
        if self._gateway is not None:
            await self._gateway.close()
        if self.scheduler is not None:
            await self.scheduler.close()
        if self._parts is not None:
            await asyncio.to_thread(self._parts.close)
        if self._has_overrides:
            self._has_overrides = False
            overrides.release()

    def close(self, timeout: float | None = None) -> Any:
        """End all jobs, delete the values of an unnamed run, and stop scheduler and gateway."""
        closing = super().close(timeout)
        if not self.asynchronous:
            self._loop_runner.stop()
        return closing

    def scale(self, n: int | None = None, *, jobs: int | None = None) -> Any:
        """Let another number of jobs run at once.

        Parameters
        ----------
        n, jobs : int
            How many; the two names mean the same, as in dask-jobqueue.
        """
        wanted = configuration.resolve({"jobs": jobs if jobs is not None else n})
        return self.sync(self._scale, wanted.jobs)

    async def _scale(self, jobs: int) -> None:
        assert self._parts is not None
        self._parts.resize(jobs)
        if self.scheduler is not None and self._gateway is not None:
            self._gateway.state.nthreads = jobs * self.settings.cores
            self.scheduler.resize_gateway(jobs * self.settings.cores)

    def adapt(
        self,
        *,
        minimum: int = 0,
        maximum: int | None = None,
        minimum_jobs: int = 0,
        maximum_jobs: int | None = None,
    ) -> Any:
        """Let as many jobs run as there is work for, up to a maximum.

        Jobs exist only while they have work, so there is nothing to start or stop, and nothing is
        kept idle: of the numbers only the maximum matters.

        Parameters
        ----------
        minimum, minimum_jobs : int
            Taken for the sake of dask-jobqueue's scripts; no job waits for work here.
        maximum, maximum_jobs : int, optional
            Jobs that may run at once; without it the present number stays.
        """
        most = maximum_jobs if maximum_jobs is not None else maximum
        return self.scale(jobs=most if most is not None else self._jobs)

    async def _wait_for_workers(self, n_workers: int = 0, timeout: float | None = None) -> None:
        """Return at once: jobs start when there is work, and never before."""

    def plan_of(self, *collections: Any) -> Any:
        """Draw how collections, computed together, would be cut into stages of shards.

        Nothing runs. The drawing is text in a terminal and a picture in a notebook.
        """
        assert self._parts is not None
        return self.sync(foresee_plan, self._parts, send_graph(collections))

    @property
    def jobs(self) -> JobTable:
        """A table of the array jobs and their counts of children by state."""
        assert self._parts is not None
        return job_table(self._parts.service)

    def logs(self, what: Any) -> Any:
        """Read the log of a job by its id, or of the job that makes a key or future.

        Gives the last lines by the id of the job or child that wrote them; raises ``KeyError`` if
        there is no such job.
        """
        assert self._parts is not None
        return self.sync(asyncio.to_thread, self._parts.logs, getattr(what, "key", what))

    def job_script(self) -> str:
        """Show the exact requests that the cluster sends to Batch for a stage of two shards."""
        assert self._parts is not None
        return self._parts.job_script()

    @property
    def _jobs(self) -> int:
        return self._parts.jobs if self._parts else self.settings.jobs

    def _scaling_status(self) -> str:
        memory = format_bytes(self.settings.memory)
        return f"Up to {self._jobs} jobs of {self.settings.cores} vCPU and {memory} at once"

    def __repr__(self) -> str:
        return (
            f"KnotCluster({self.name}, {self.scheduler_address!r}, "
            f"engine={self.settings.engine!r}, jobs={self._jobs}, cores={self.settings.cores}, "
            f"memory={format_bytes(self.settings.memory)!r})"
        )

    def _repr_html_(self, cluster_status: str | None = None) -> str:
        table = self.jobs._repr_html_() if self._parts else ""
        row = '<tr><td colspan="2" style="text-align: left;">{}</td></tr>'
        rows = [row.format(cell) for cell in (self._scaling_status(), table)]
        html: str = super()._repr_html_(cluster_status="".join(rows))
        return html

    async def _get_logs(
        self, cluster: bool = True, scheduler: bool = True, workers: Any = True
    ) -> Mapping[str, str]:
        logs = await super()._get_logs(cluster=cluster, scheduler=scheduler, workers=False)
        if workers and self._parts is not None:
            chosen = None if workers is True else set(workers)
            logs.update(await asyncio.to_thread(self._parts.service.logs, chosen))
        return logs  # type: ignore[no-any-return]


@atexit.register
def _close_all() -> None:
    for cluster in list(KnotCluster._open):
        with contextlib.suppress(Exception):
            cluster.close(timeout=10)
