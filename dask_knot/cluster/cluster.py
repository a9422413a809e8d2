"""KnotCluster: what users make. Its keywords are the settings of the cluster that it is."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any, NoReturn

from dask.utils import format_bytes
from distributed.core import Status
from distributed.security import Security
from distributed.utils import NoOpAwaitable

from dask_knot.cluster.runcluster import RunCluster
from dask_knot.cluster.scaling import Scaling, check_reach
from dask_knot.dashboard.absence import MISSING, UNWANTED, NoLink, dashboards, unlinked
from dask_knot.plural import many
from dask_knot.run.frames import brief
from dask_knot.settings import checks
from dask_knot.settings.defaults import ensure_file
from dask_knot.settings.settings import CONFIGURED, Configured, resolve

# As Dask's own packages do it: on import, and of the cluster only, as jobs need no such file.
ensure_file()


class KnotCluster(RunCluster):
    """A Dask cluster whose tasks run as array jobs of AWS Batch, or as processes here.

    Every setting that is not given, or None, is that of ``dask.config`` under ``knot.``;
    ``knot.yaml`` explains each one, and has its default. A setting of another engine may be None,
    too, and is nothing else.

    Parameters
    ----------
    engine : {"local", "docker", "aws"}, optional
        What runs the jobs: processes or containers on this machine, or AWS Batch.
    name : str, optional
        Name of the run. A named run stays in the store, and whoever opens it again finds what it
        has: `close` leaves it, and `end` ends its jobs.
    jobs : int, optional
        Jobs that may run at once.
    cores : int or "auto", optional
        vCPUs of a job; "auto" chooses by what is known of its tasks.
    processes : bool, optional
        Run the tasks of a job with several cores in processes instead of threads.
    memory : str or int, optional
        Memory of a job, in bytes or as ``"4 GiB"``; ``"auto"`` chooses by what is known.
    gpus : int, optional
        GPUs of a job.
    timeout : str or float, optional
        Seconds after which a job is ended, 60 at least.
    start_timeout : str or float, optional
        Seconds after which work fails of which no job has started, though it was its turn.
    attempts : int, optional
        How often a job whose machine is lost is started, 1 to 10.
    max_cost : str or float, optional
        US dollars that a session on AWS may spend, as ``"5 USD"``: work that costs more is refused.
    estimate : int, optional
        Try so many tasks of each kind, print what all would take, and end the program.
    speculate : float, optional
        A job that is so many times slower than its siblings gets a second try beside it.
    memory_retries : int, optional
        How often tasks that ran out of memory run again with twice as much; 0: never.
    max_memory : str or int, optional
        The memory that a job may have for that, at most.
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
    modules_limit : str or int, optional
        Bytes of the user's own modules, and of data beside them, that travel to containers at most.
    reuse : bool, optional
        Whether a named run takes up what its earlier sessions made, and what their jobs are making.
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
    container : mapping of str to Any, optional
        Engines "docker" and "aws": what containers have besides, such as ``{"shared-memory": "8
        GiB"}``; ``docs/aws.md`` lists it.
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
    RunNameError, RunFormatError
        If the name is that of something else in the store, or another version made the run.
    StoreError
        If the store can't be read; or not be written, unless the run is there: then it can be
        read, and what must be computed errs.

    Examples
    --------
    >>> from dask.distributed import Client
    >>> with KnotCluster(jobs=2) as cluster, Client(cluster) as client:  # doctest: +SKIP
    ...     client.submit(sum, [1, 2]).result()
    3
    """

    @brief
    def __init__(
        self,
        engine: str | None = None,
        *,
        name: str | None = None,
        jobs: int | None = None,
        cores: int | str | None = None,
        processes: bool | None = None,
        memory: str | int | None = None,
        gpus: int | None = None,
        timeout: str | float | None = None,
        start_timeout: str | float | None = None,
        attempts: int | None = None,
        max_cost: str | float | None = None,
        estimate: int | None = None,
        speculate: float | None = None,
        memory_retries: int | None = None,
        max_memory: str | int | None = None,
        environment: Mapping[str, object] | None = None,
        store: str | os.PathLike[str] | None = None,
        host: str | None = None,
        dashboard_address: str | Configured | None = CONFIGURED,
        part_interval: str | float | None = None,
        progress: bool | None = None,
        modules_limit: str | int | None = None,
        reuse: bool | None = None,
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
        container: Mapping[str, Any] | None = None,
        asynchronous: bool = False,
        loop: Any = None,
        security: Security | bool | None = None,
        silence_logs: int | str | bool = logging.WARNING,
        **unknown: NoReturn,  # so that type checkers report them, too
    ) -> None:
        given = {
            "engine": engine,
            "name": name,
            "jobs": jobs,
            "cores": cores,
            "processes": processes,
            "memory": memory,
            "gpus": gpus,
            "timeout": timeout,
            "start_timeout": start_timeout,
            "attempts": attempts,
            "max_cost": max_cost,
            "estimate": estimate,
            "speculate": speculate,
            "memory_retries": memory_retries,
            "max_memory": max_memory,
            "environment": environment,
            "store": store,
            "host": host,
            "dashboard_address": dashboard_address,
            "part_interval": part_interval,
            "progress": progress,
            "modules_limit": modules_limit,
            "reuse": reuse,
            "image": image,
            "stack": stack,
            "region": region,
            "profile": profile,
            "queue": queue,
            "job_role": job_role,
            "share_identifier": share_identifier,
            "scheduling_priority": scheduling_priority,
            "secrets": secrets,
            "tags": tags,
            "container": container,
        }
        super().__init__(
            resolve({**_said(given), **unknown}),
            checks.security("security", security),
            checks.log_level("silence_logs", silence_logs),
            asynchronous=asynchronous,
            loop=loop,
        )

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
        check_reach(n_workers, len(self.plan))
        return NoOpAwaitable() if self.asynchronous else None

    @property
    def requested(self) -> set[int]:
        """Numbers of the jobs that there is work for: submitted, and not over."""
        return set(range(min(self.jobs.unfinished, len(self.plan))))

    @property
    def observed(self) -> set[int]:
        """Numbers of the jobs that run."""
        return set(range(min(self.jobs.running, len(self.plan))))

    @property
    def dashboard_link(self) -> str:
        """The link to the dashboard; where there is none, the reason, which is false as a link."""
        if self.scheduler is None or dashboards(self.scheduler):
            return str(super().dashboard_link)
        return NoLink(UNWANTED if self.settings.dashboard_address is None else MISSING)

    def __repr__(self) -> str:
        if self.status is Status.closed:
            return f"KnotCluster({self.name}, closed)"
        absence = f", {MISSING}" if self.dashboard_link == MISSING else ""
        return (
            f"KnotCluster({self.name}, {self.scheduler_address!r}, "
            f"engine={self.settings.engine!r}, jobs={len(self.plan)}, cores={self.settings.cores}, "
            f"memory={format_bytes(self.settings.memory)!r}){absence}"
        )

    def _repr_html_(self, cluster_status: str | None = None) -> str:
        table = self.jobs._repr_html_() if self.scheduler is not None else ""
        row = '<tr><td colspan="2" style="text-align: left;">{}</td></tr>'
        rows = [row.format(cell) for cell in (self._scaling_status(), table)]
        html: str = super()._repr_html_(cluster_status="".join(rows))
        return html if self.dashboard_link else unlinked(html, self.dashboard_link)

    def _scaling_status(self) -> str:
        return f"Up to {many('job', len(self.plan))} of {Scaling(self.settings).size} at once"


def _said(given: Mapping[str, object]) -> dict[str, object]:
    """Leave out keywords that leave it to the configuration, those of other engines included.

    So does None, but for the dashboard: there it says that there is to be none.
    """
    silent = {"dashboard_address": CONFIGURED}
    return {name: value for name, value in given.items() if value is not silent.get(name)}
