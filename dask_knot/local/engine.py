"""The engine "local": jobs are processes of this machine. The same class serves containers."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dask.system import CPU_COUNT
from dask.utils import format_bytes
from distributed.system import MEMORY_LIMIT

from dask_knot.batch.request import MIB, JobTemplate
from dask_knot.local.batch import LocalBatch
from dask_knot.local.capacity import Capacity
from dask_knot.local.commons import Commons
from dask_knot.local.dispatch import GRACE
from dask_knot.local.launcher import Launcher
from dask_knot.local.scratch import Scratch
from dask_knot.planning import Resources
from dask_knot.plural import many
from dask_knot.run.firstlook import look_first
from dask_knot.run.store import Store
from dask_knot.settings.home import home_store
from dask_knot.settings.settings import Settings

logger = logging.getLogger(__name__)

#: Imported by the server that forks jobs, so that no job has to: the first before anything else.
#: Jobs don't need the cluster, but the modules of users that open one import it.
ALWAYS_WARM = ("dask_knot.job.__main__", "dask_knot.cluster.cluster", "distributed.protocol.numpy")

#: What spare children do until there is a job for them.
PRACTICE = "dask_knot.job.practice"

#: Makes what starts jobs, from the folder of their logs and the URL of the store.
Launch = Callable[[Path, str], Launcher]


class LocalEngine:
    """Jobs are processes or containers of this machine.

    Parameters
    ----------
    settings : Settings
        How many jobs, with how many cores and how much memory.
    launch : callable
        Makes what starts them, from the folder of the logs and the URL of the store.
    image : str
        The image of the containers.
    machine : Capacity, optional
        What the machine has that runs the jobs in containers; None: they are processes of this one.
    commons : Commons, optional
        Memory that they share.
    """

    def __init__(
        self,
        settings: Settings,
        launch: Launch,
        image: str = "dask-knot",
        machine: Capacity | None = None,
        commons: Commons | None = None,
    ) -> None:
        self.settings = settings
        self.is_here = machine is None
        self.market = None  # jobs cost nothing here
        self.scout = None
        self.jobs_stay = False  # they end with the process that started them
        self._machine = machine or this_machine()
        self._commons = commons
        self._scratch = Scratch()
        self._folder = self._scratch.path
        logs = self._folder / "logs"
        logs.mkdir()
        try:
            launcher = launch(logs, settings.store or self.store_url)
        except BaseException:
            self._close_folders()
            raise
        self.template = JobTemplate(
            name=settings.name,
            queue="dask-knot",
            image=image,
            environment=settings.environment,
            attempts=settings.attempts,
        )
        self.client = LocalBatch(self._capacity(settings.jobs), launcher, log_folder=logs)

    @property
    def store_url(self) -> str:
        """A temporary folder; for a named run one that stays.

        Raises
        ------
        ConfigurationError
            If the run is named, and there is no home folder.
        """
        if self.settings.is_named:
            return home_store()
        return (self._folder / "store").as_uri()

    @property
    def largest(self) -> Resources:
        """The vCPUs that jobs have together, and all memory and GPUs that the machine has."""
        capacity = self._capacity(self.settings.jobs)
        return Resources(capacity.vcpus, capacity.memory * MIB, capacity.gpus)

    def open_store(self, url: str) -> Store:
        """Open a store; the folders above that of a named run may not be there yet."""
        if self._commons is not None:
            self._commons.serve(self._folder / "store")
        if not self.settings.store:
            return Store(url, parents=True)
        store = Store(url)
        look_first(store.url, store.requests)
        return store

    def tail(self, log_stream: str, lines: int) -> Sequence[str]:
        """Give the last lines of a job's log."""
        return self.client.tail(log_stream, lines)

    def resize(self, jobs: int) -> None:
        """Let another number of jobs run at once."""
        self.settings = replace(self.settings, jobs=jobs)
        self.client.resize(self._capacity(jobs))

    def end_jobs(self) -> None:
        """End all jobs at once."""
        self.client.close()

    def end_command(self, job_id: str) -> str:
        """Name what ends with this process."""
        return f"kill {os.getpid()}  # the process that runs {job_id}"

    def close(self) -> None:
        """End all jobs and remove what is temporary."""
        self.client.close()
        self._close_folders()

    def _close_folders(self) -> None:
        if self._commons is not None:
            self._commons.close()
        self._scratch.close()

    def _capacity(self, jobs: int) -> Capacity:
        """Give what jobs may take: a large one takes the room of others, which wait meanwhile."""
        settings, machine = self.settings, self._machine
        return Capacity(
            vcpus=jobs * settings.cores,
            memory=max(jobs * -(-settings.memory // MIB), machine.memory),
            gpus=max(jobs * settings.gpus, machine.gpus),
        )


def open_local(
    settings: Settings, environment: Mapping[str, str], report: Callable[[str], None]
) -> LocalEngine:
    """Start the server that forks jobs; there is nothing to `report` on.

    Raises
    ------
    EngineError
        On a system without ``fork``.
    """
    from dask_knot.local.fork import ForkLauncher

    if lack := lacking(settings):
        logger.warning("each job may use %s: it will get what there is", lack)

    # What is to stay, or where the user wants it, stays in its folder.
    is_shared = not (settings.is_named or settings.store)
    commons = Commons.of_share(settings.tempo.shared_memory) if is_shared else None

    def launch(logs: Path, store_url: str) -> Launcher:
        launcher = ForkLauncher(
            preload=(*ALWAYS_WARM, *_imported(settings.tempo.preload)),
            environment={n: v for n, v in environment.items() if n not in os.environ},
            log_path=logs / "server.log",
            grace=grace_of(settings),
            practice=PRACTICE,
            leavings=[commons.path] if commons is not None else [],
        )
        launcher.warm()
        return launcher

    return LocalEngine(settings, launch, commons=commons)


def grace_of(settings: Settings) -> float:
    """Give the seconds in which jobs may commit what they have done when their client ends.

    Somebody comes back for that to a named run only.
    """
    return GRACE if settings.is_named else 0.0


def this_machine() -> Capacity:
    """Find out what jobs that are processes here may have."""
    gpus = sum(1 for _ in Path("/dev").glob("nvidia[0-9]*"))
    return Capacity(CPU_COUNT, MEMORY_LIMIT // MIB, gpus)


def lacking(settings: Settings) -> str:
    """Say what of a job's size this machine hasn't got; nothing if it has all."""
    lack = []
    if settings.cores > CPU_COUNT:
        lack.append(f"{settings.cores} cores, and this machine has {CPU_COUNT}")
    if settings.memory > MEMORY_LIMIT:
        size, there = format_bytes(settings.memory), format_bytes(MEMORY_LIMIT)
        lack.append(f"{size} of memory, and this machine has {there}")
    if settings.gpus and not this_machine().gpus:
        lack.append(f"{many('GPU', settings.gpus)}, but no NVIDIA GPU was found here")
    return "; ".join(lack)


def _imported(names: Sequence[str]) -> list[str]:
    return [name for name in names if name in sys.modules]
