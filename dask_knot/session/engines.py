"""What runs the jobs: what a session needs of it, and which engine goes by which name."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from distributed.utils import is_kernel

from dask_knot.batch.client import BatchClient
from dask_knot.batch.machines import Scout
from dask_knot.batch.request import FARGATE, MIB, JobTemplate, fitting_size
from dask_knot.environment.problems import Notice
from dask_knot.planning import Resources, fargate
from dask_knot.prices.shelf import stocked
from dask_knot.prices.tariff import Market, most_memory
from dask_knot.run.store import Store
from dask_knot.settings.settings import Settings
from dask_knot.tracking.memory import Allowance

logger = logging.getLogger(__name__)

#: Libraries that start a thread per core would fight over the cores that jobs share.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Engine(Protocol):
    """What a session needs of an engine."""

    @property
    def settings(self) -> Settings:
        """The settings, with what only the engine knows: how many jobs may run at once."""

    @property
    def client(self) -> BatchClient:
        """The calls of boto3's Batch client."""

    @property
    def template(self) -> JobTemplate:
        """What all jobs have in common."""

    @property
    def store_url(self) -> str:
        """Where values are kept when the user names no store."""

    @property
    def largest(self) -> Resources:
        """The most that a job may ask for."""

    @property
    def is_here(self) -> bool:
        """Whether jobs are processes of this machine, with its files and locks."""

    @property
    def jobs_stay(self) -> bool:
        """Whether jobs go on without the client that submitted them."""

    @property
    def market(self) -> Market | None:
        """Where jobs run, as far as it decides what they cost; None where they cost nothing."""

    @property
    def scout(self) -> Scout | None:
        """What looks at machines that don't take jobs; None where none could be seen."""

    def open_store(self, url: str) -> Store:
        """Open a store with the engine's own credentials, if it has any."""

    def tail(self, log_stream: str, lines: int) -> Sequence[str]:
        """Give the last lines of a job's log."""

    def resize(self, jobs: int) -> None:
        """Let another number of jobs run at once."""

    def end_jobs(self) -> None:
        """End all jobs at once, as far as it is this machine that runs them."""

    def end_command(self, job_id: str) -> str:
        """Give the command line with which somebody else ends a job."""

    def close(self) -> None:
        """Remove what is temporary, and let go of everything."""


def place_of(engine: Engine) -> str:
    """Name the place of an engine's jobs, if they are anywhere but with their client."""
    own = engine.settings.aws
    region = own.region if own is not None else None
    return f"{region or ''} {engine.template.queue}".strip() if engine.jobs_stay else ""


def allowance_of(engine: Engine) -> Allowance:
    """Tell how much memory jobs of an engine may be given that ran out of what they had."""
    settings, largest = engine.settings, engine.largest
    there = largest.memory
    if there is None and engine.market is not None:
        there = most_memory(stocked(), engine.market)
    most = min([one for one in (settings.max_memory, there) if one is not None], default=None)
    if most is not None and engine.template.platform == FARGATE:
        most = fargate.most_within(settings.cores, most // MIB) * MIB

    def fitting(needs: Resources) -> Resources | None:
        size = fitting_size(engine.template, needs)
        return size if size is not None and size.fit(replace(largest, memory=most)) else None

    return Allowance(settings.memory_retries, most, fitting)


#: Opens an engine with settings and variables of all jobs; says what it does while that takes long.
Opener = Callable[[Settings, Mapping[str, str], Callable[[str], None]], Engine]


def open_engine(settings: Settings) -> Engine:
    """Start the engine that the settings name.

    Raises
    ------
    EngineError
        If it can't run here.
    AwsError
        If AWS refuses, or can't be reached.
    """
    threads = dict.fromkeys(THREADS, str(settings.cores))
    return _OPENERS[settings.engine]()(settings, threads, report_progress)


def sign_in(settings: Settings) -> None:
    """Ask for what only somebody who sits here can give, before threads begin.

    Raises
    ------
    CredentialsError
        If nobody can be asked.
    """
    if settings.aws is not None:
        from dask_knot.aws.credentials import sign_in as sign_in_to_aws

        sign_in_to_aws(settings.aws.profile)


# Imported when used: SDKs take a part of a second each.


def _local() -> Opener:
    from dask_knot.local.engine import open_local

    return open_local


def _docker() -> Opener:
    from dask_knot.local.containers import open_docker

    return open_docker


def _aws() -> Opener:
    from dask_knot.aws.engine import open_aws

    return open_aws


_OPENERS: dict[str, Callable[[], Opener]] = {"local": _local, "docker": _docker, "aws": _aws}


def report_progress(line: str) -> None:
    """Say what is done while an image is built: to whoever sits before it, and in the log.

    In a notebook it stands in the cell that opens the cluster. In a script whose output goes to a
    file nobody watches: there the log warns of what jobs will lack.
    """
    stream = sys.stdout if is_kernel() else sys.stderr  # in a notebook standard error is red
    is_watched = is_kernel() or (stream is not None and stream.isatty())
    is_warning = isinstance(line, Notice) and not is_watched
    logger.log(logging.WARNING if is_warning else logging.INFO, "%s", line)
    if is_watched:
        stream.write(f"{line}\n")
