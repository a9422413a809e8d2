"""Who is timed: each peer has two single-threaded processes, and is alone while it is open."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

import dask
from distributed import Client, LocalCluster

from benchmarks import limits, work
from dask_knot import KnotCluster

PROCESSES = 2
WARM_TASKS = 4 * PROCESSES

Session: TypeAlias = Client | Executor


@contextmanager
def knot() -> Iterator[Client]:
    """Open a KnotCluster on this machine, without its dashboard."""
    with (
        dask.config.set({"knot.dashboard-address": None}),
        KnotCluster(engine="local", jobs=PROCESSES, cores=1) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def local() -> Iterator[Client]:
    """Open Dask's own cluster on this machine, without its dashboard."""
    with (
        LocalCluster(
            n_workers=PROCESSES, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def pool() -> Iterator[Executor]:
    """Open a bare process pool: the limit for a map of independent calls."""
    # Not fork: this process has had threads, and Dask's workers are not forked either.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as executor:
        yield executor


PEERS: dict[str, Callable[[], AbstractContextManager[Session]]] = {
    "KnotCluster": knot,
    "LocalCluster": local,
    "pool": pool,
    "limit": limits.threads,
}


def warm(session: Session) -> None:
    """Let every process import what the cases need, before anything is timed."""
    if isinstance(session, Client):
        session.gather(session.map(work.warm, range(WARM_TASKS), pure=False))
    else:
        list(session.map(work.warm, range(WARM_TASKS)))


def settle(session: Session) -> None:
    """Wait until what the case before has left behind is released."""
    if isinstance(session, Client):
        session.submit(work.noop, 0, pure=False).result()
