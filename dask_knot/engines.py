"""What runs the jobs: each engine is a Batch client, a reader of logs and a default store."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from dask_knot.batch.capacity import Capacity
from dask_knot.batch.fork import ForkLauncher
from dask_knot.batch.local import LocalBatch
from dask_knot.batch.service import MIB, BatchClient
from dask_knot.planning import Resources
from dask_knot.settings import Settings

#: Imported by the server that forks jobs, so that no job has to: the first before anything else.
#: Jobs don't need the cluster, but the modules of users that open one import it.
ALWAYS_WARM = ("dask_knot.job", "dask_knot.cluster", "distributed.protocol.numpy")
#: Libraries that start a thread per core would fight over the cores that jobs share.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Engine(Protocol):
    """What a cluster needs of an engine."""

    @property
    def client(self) -> BatchClient:
        """The calls of boto3's Batch client."""

    @property
    def store_url(self) -> str:
        """Where values are kept when the user names no store."""

    @property
    def largest(self) -> Resources:
        """The most that a job may ask for."""

    def tail(self, log_stream: str, lines: int) -> Sequence[str]:
        """Give the last lines of a job's log."""

    def resize(self, jobs: int) -> None:
        """Let another number of jobs run at once."""

    def close(self) -> None:
        """End all jobs and remove what is temporary."""


class LocalEngine:
    """Jobs are processes of this machine.

    Parameters
    ----------
    settings : Settings
        How many jobs, with how many cores and how much memory.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = Path(tempfile.mkdtemp(prefix="dask-knot-"))
        logs = self._folder / "logs"
        logs.mkdir()
        launcher = ForkLauncher(
            preload=(*ALWAYS_WARM, *_imported(settings.tempo.preload)),
            environment={name: str(settings.cores) for name in THREADS if name not in os.environ},
            log_path=logs / "server.log",
        )
        launcher.warm()
        self.client = LocalBatch(self._capacity(settings.jobs), launcher, log_folder=logs)

    @property
    def store_url(self) -> str:
        """A temporary folder; for a named run one that stays."""
        if self._settings.is_named:
            home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
            return (Path(home) / "dask_knot").as_uri()
        return (self._folder / "store").as_uri()

    @property
    def largest(self) -> Resources:
        """All that the jobs of this machine have together."""
        settings = self._settings
        return Resources(
            vcpus=settings.jobs * settings.cores,
            memory=settings.jobs * settings.memory,
            gpus=settings.jobs * settings.gpus,
        )

    def tail(self, log_stream: str, lines: int) -> Sequence[str]:
        """Give the last lines of a job's log."""
        return self.client.tail(log_stream, lines)

    def resize(self, jobs: int) -> None:
        """Let another number of jobs run at once."""
        self.client.resize(self._capacity(jobs))

    def close(self) -> None:
        """End all jobs and remove what is temporary."""
        self.client.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _capacity(self, jobs: int) -> Capacity:
        settings = self._settings
        return Capacity(
            vcpus=jobs * settings.cores,
            memory=jobs * -(-settings.memory // MIB),
            gpus=jobs * settings.gpus,
        )


def open_engine(settings: Settings) -> Engine:
    """Start the engine that the settings name."""
    return _ENGINES[settings.engine](settings)


_ENGINES = {"local": LocalEngine}


def _imported(names: Sequence[str]) -> list[str]:
    return [name for name in names if name in sys.modules]
