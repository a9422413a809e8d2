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
    """A Dask cluster that runs graphs as array jobs of AWS Batch, or as processes on this machine.

    If you don't give an argument, or give None, its value comes from Dask's configuration under
    ``knot.``. ``knot.yaml`` explains every setting and holds the defaults. Arguments that belong to
    another engine must be left out or None.

    Parameters
    ----------
    engine : {"local", "docker", "aws"}, optional
        What runs the jobs: processes on this machine, containers on this machine, or AWS Batch.
    name : str, optional
        Name of the run. A named run stays in the store, and anyone who opens it again finds its
        results. `close` leaves it as it is; `end` stops its jobs.
    jobs : int, optional
        How many jobs may run at once.
    cores : int or "auto", optional
        vCPUs of each job. ``"auto"`` chooses from what is known about the tasks.
    processes : bool, optional
        In jobs with several cores, run tasks in processes instead of threads.
    memory : str or int, optional
        Memory of each job, in bytes or as ``"4 GiB"``. ``"auto"`` chooses from what is known.
    gpus : int, optional
        GPUs of each job.
    timeout : str or float, optional
        Stop a job that runs longer than this many seconds, at least 60.
    start_timeout : str or float, optional
        Fail work if it's next in line and no job has started for this many seconds.
    attempts : int, optional
        How many times a job is started in all if it loses its machine, from 1 to 10.
    max_cost : str or float, optional
        The most that a session on AWS may spend, as ``"5 USD"``. Work that would cost more is
        refused.
    estimate : int, optional
        Try this many tasks of each kind, print what all of them would take, and exit.
    speculate : float, optional
        Start a second copy of a job that is this many times slower than the others in its stage.
    memory_retries : int, optional
        How many times tasks that run out of memory are tried again with twice as much. 0 means
        never.
    max_memory : str or int, optional
        The most memory that such a retry may ask for.
    environment : mapping of str to str, optional
        Environment variables for the jobs.
    store : str or path, optional
        Folder or URL where values are kept.
    host : str, optional
        Host name or address that Dask's scheduler and dashboard listen on.
    dashboard_address : str or None, optional
        Where the dashboard listens, such as ``":8787"``. None turns the dashboard off.
    part_interval : str or float, optional
        A job commits what it has done every so many seconds.
    progress : bool, optional
        Whether to show a progress line in the terminal while you wait.
    modules_limit : str or int, optional
        The most bytes of your own modules, with the data next to them, that are sent to containers.
    reuse : bool, optional
        Whether a named run reuses results of its earlier sessions, and waits for their jobs.
    image : str, optional
        The image that jobs run in (engines "docker" and "aws").
    stack : str, optional
        The stack that ``dask knot up`` created (engine "aws").
    region : str, optional
        The AWS region of the stack (engine "aws").
    profile : str, optional
        The profile in ``~/.aws/config`` to sign in with (engine "aws").
    queue : str, optional
        A job queue to use instead of the stack's (engine "aws").
    job_role : str, optional
        ARN of a role to give to jobs instead of the stack's (engine "aws").
    share_identifier : str, optional
        Whose share the jobs count toward, if the queue has a scheduling policy (engine "aws").
    scheduling_priority : int, optional
        Priority within that share, from 0 to 9999 (engine "aws").
    secrets : mapping of str to str, optional
        Environment variables for the jobs, each with the ARN of the secret it gets (engine "aws").
    tags : mapping of str to str, optional
        Tags for the jobs (engine "aws").
    container : mapping of str to Any, optional
        Everything else about the containers, such as ``{"shared-memory": "8 GiB"}`` (engines
        "docker" and "aws"). ``docs/aws.md`` lists the words.
    asynchronous : bool
        Whether you use the cluster with ``async with``, inside an event loop.
    loop : IOLoop, optional
        Tornado's event loop to use.
    security : Security or bool, optional
        TLS for Dask's own connections. True makes a certificate for this cluster.
    silence_logs : int, str or bool
        While the cluster is open, hide Dask's log messages below this level.
    **unknown
        There are no other arguments. The error suggests the one you may have meant.

    Raises
    ------
    ConfigurationError
        If a setting is unknown or has a wrong value. The message lists the valid ones.
    RunNameError, RunFormatError
        If something else in the store has that name, or another version of dask_knot made the run.
    StoreError
        If the store can't be read. If it can be read but not written, a run that exists still
        opens; whatever needs computing then fails.

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
        """Return immediately, since jobs only start when there is work.

        Parameters
        ----------
        n_workers : int
            How many jobs you expect to run at once.
        timeout : float, optional
            Accepted for compatibility with Dask. There is nothing to wait for.

        Raises
        ------
        ConfigurationError
            If fewer jobs than that may run at once. Dask would wait forever.
        """
        check_reach(n_workers, len(self.plan))
        return NoOpAwaitable() if self.asynchronous else None

    @property
    def requested(self) -> set[int]:
        """Numbers of the jobs that are submitted and not finished."""
        return set(range(min(self.jobs.unfinished, len(self.plan))))

    @property
    def observed(self) -> set[int]:
        """Numbers of the jobs that are running."""
        return set(range(min(self.jobs.running, len(self.plan))))

    @property
    def dashboard_link(self) -> str:
        """The dashboard's address. Without a dashboard, the reason, which counts as false."""
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
