"""KnotCluster: what users make and ask. It joins the parts and decides nothing."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from typing import Any

from dask.utils import format_bytes
from distributed.core import Status
from distributed.security import Security
from distributed.utils import NoOpAwaitable

from dask_knot.cluster.arrivals import foresee_plan
from dask_knot.cluster.lifetime import SessionCluster
from dask_knot.cluster.scaling import Adaptation, Scaling, check_reach
from dask_knot.dashboard.jobtable import JobTable, job_table
from dask_knot.graphs.opening import send_graph
from dask_knot.plural import many
from dask_knot.settings import checks
from dask_knot.settings.defaults import ensure_file
from dask_knot.settings.settings import CONFIGURED, KEYWORDS, Configured, resolve

# As Dask's own packages do it: on import, and of the cluster only, as jobs need no such file.
ensure_file()


class KnotCluster(SessionCluster):
    """A Dask cluster whose tasks run as array jobs of AWS Batch, or as processes here.

    Every setting that is not given, or None, is that of ``dask.config`` under ``knot.``;
    ``knot.yaml`` explains each one, and has its default.

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
    attempts : int, optional
        How often a job whose machine is lost is started, 1 to 10.
    environment : mapping of str to str, optional
        Environment variables of the jobs.
    store : str or path, optional
        Folder or URL where values are kept.
    host : str, optional
        Name or address of this machine where Dask's scheduler and dashboard listen.
    dashboard_address : str or None, optional
        Where the dashboard listens, such as ``":8787"``; None: there is no dashboard.
    part_interval : str or float, optional
        Seconds after which a job commits what it has done.
    progress : bool, optional
        Whether a line on the terminal says how far the work is while you wait.
    image : str, optional
        Engines "docker" and "aws": image of the jobs.
    stack, region, profile : str, optional
        Engine "aws": the stack that ``dask knot up`` made, its AWS region, and the profile of
        ``~/.aws/config``.
    queue, job_role : str, optional
        Engine "aws": another job queue than the stack's, and the ARN of another role for jobs.
    share_identifier, scheduling_priority : str, int, optional
        Engine "aws": share of a queue that has a scheduling policy, and 0 to 9999 within it.
    secrets, tags : mapping of str to str, optional
        Engine "aws": environment variables of the jobs with the ARN of the secret in each, and
        tags on the jobs.
    asynchronous : bool
        Whether this is used with ``async with`` inside an event loop.
    loop : IOLoop, optional
        Tornado's event loop to use.
    security : Security or bool, optional
        TLS for Dask's own connections; True: with a certificate that is made for this cluster.
    silence_logs : int, str or bool
        Level below which Dask's own log lines are not shown while the cluster is open.
    **unknown
        There are no others: the error names the keyword that may be meant.

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
        name: str | None = None,
        jobs: int | None = None,
        cores: int | None = None,
        processes: bool | None = None,
        memory: str | int | None = None,
        gpus: int | None = None,
        timeout: str | float | None = None,
        attempts: int | None = None,
        environment: Mapping[str, object] | None = None,
        store: str | os.PathLike[str] | None = None,
        host: str | None = None,
        dashboard_address: str | Configured | None = CONFIGURED,
        part_interval: str | float | None = None,
        progress: bool | None = None,
        image: str | None = None,
        stack: str | None = None,
        region: str | None = None,
        profile: str | None = None,
        queue: str | None = None,
        job_role: str | None = None,
        share_identifier: str | None = None,
        scheduling_priority: int | None = None,
        secrets: Mapping[str, str] | None = None,
        tags: Mapping[str, object] | None = None,
        asynchronous: bool = False,
        loop: Any = None,
        security: Security | bool | None = None,
        silence_logs: int | str | bool = logging.WARNING,
        **unknown: Any,
    ) -> None:
        super().__init__(
            resolve(_given(locals(), unknown)),
            checks.security("security", security),
            checks.log_level("silence_logs", silence_logs),
            asynchronous=asynchronous,
            loop=loop,
        )

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
        return self._resize(Scaling(self.settings).jobs_of(given))

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
        adaptation = Scaling(self.settings).adaptation_of(limits, self._slots)
        self._resize(adaptation.maximum)
        self._adaptive = adaptation
        return adaptation

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
        check_reach(n_workers, self._slots)
        return NoOpAwaitable() if self.asynchronous else None

    @property
    def plan(self) -> set[int]:
        """Numbers of the jobs that may run at once."""
        return set(range(self._slots))

    @property
    def requested(self) -> set[int]:
        """Numbers of the jobs that there is work for: submitted, and not over."""
        return set(range(min(self.jobs.unfinished, self._slots)))

    @property
    def observed(self) -> set[int]:
        """Numbers of the jobs that run."""
        return set(range(min(self.jobs.running, self._slots)))

    @property
    def jobs(self) -> JobTable:
        """A table of the array jobs: what runs in them, and their children by state."""
        session = self._open_session
        return job_table(session.jobs, session.progress.tallies(), self.status == Status.closed)

    def logs(self, what: Any = None) -> Any:
        """Read the log of a job by its id, or of the job that makes a key or future.

        Without an argument those of the newest jobs, which `get_logs` gives as well. Gives the last
        lines by the id of the job or child that wrote them; raises ``KeyError`` if there is no such
        job.
        """
        return self.sync(asyncio.to_thread, self._open_session.logs, getattr(what, "key", what))

    def job_script(self) -> str:
        """Show the exact requests that the cluster sends to Batch for a stage of two shards."""
        return self._open_session.job_script()

    def plan_of(self, *collections: Any) -> Any:
        """Draw how collections, computed together, would be cut into stages of shards.

        Nothing runs. The drawing is text in a terminal and a picture in a notebook.
        """
        return self.sync(foresee_plan, self._open_session, send_graph(collections))

    def __repr__(self) -> str:
        return (
            f"KnotCluster({self.name}, {self.scheduler_address!r}, "
            f"engine={self.settings.engine!r}, jobs={self._slots}, cores={self.settings.cores}, "
            f"memory={format_bytes(self.settings.memory)!r})"
        )

    def _repr_html_(self, cluster_status: str | None = None) -> str:
        table = self.jobs._repr_html_() if self._session else ""
        row = '<tr><td colspan="2" style="text-align: left;">{}</td></tr>'
        rows = [row.format(cell) for cell in (self._scaling_status(), table)]
        html: str = super()._repr_html_(cluster_status="".join(rows))
        return html

    def _scaling_status(self) -> str:
        return f"Up to {many('job', self._slots)} of {Scaling(self.settings).size} at once"

    async def _get_logs(
        self, cluster: bool = True, scheduler: bool = True, workers: Any = True
    ) -> Mapping[str, str]:
        logs = await super()._get_logs(cluster=cluster, scheduler=scheduler, workers=False)
        if workers and self._session is not None:
            chosen = None if workers is True else set(workers)
            logs.update(await asyncio.to_thread(self._session.logs_of, chosen))
        return logs  # type: ignore[no-any-return]


def _given(arguments: Mapping[str, Any], unknown: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out settings that say nothing: those that are None but for one, where it says much."""
    silent = {name: CONFIGURED if name == "dashboard_address" else None for name in KEYWORDS}
    given = {name: arguments[name] for name in KEYWORDS if arguments[name] is not silent[name]}
    return {**given, **unknown}
