"""Clusters that nobody has closed: ended with the interpreter, and left alone by its forks."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import weakref
from typing import TYPE_CHECKING

from distributed import Client

if TYPE_CHECKING:
    from dask_knot.cluster import KnotCluster

#: The clusters of this process that are open.
open_here: weakref.WeakSet[KnotCluster] = weakref.WeakSet()


def close_clients(cluster: KnotCluster) -> None:
    """Close the clients of a cluster: they have nothing left, and would try to connect again.

    One that notices the end by itself, or made it, would keep the thread of the event loop running.
    """
    for client in list(Client._instances):
        if client.cluster is cluster and not client.asynchronous:
            with contextlib.suppress(TimeoutError):
                client.close()
            client._loop_runner.stop()


def close_all() -> None:
    """Close what is open when the interpreter ends."""
    for cluster in list(open_here):
        with contextlib.suppress(Exception):
            cluster.close(timeout=10)


def forget_all() -> None:
    """Let go of all clusters in a fork, which has their sockets and files but none of the threads.

    Its end, in whatever way, must neither wait for those threads nor remove the files.
    """
    for cluster in list(open_here):
        cluster.abandon()
    for client in list(Client._instances):
        if client.cluster in open_here:
            client.status = "closed"
    open_here.clear()


# Not `atexit` alone: the executors, with which a cluster closes, end before its hooks are called.
getattr(threading, "_register_atexit", atexit.register)(close_all)
if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(after_in_child=forget_all)
