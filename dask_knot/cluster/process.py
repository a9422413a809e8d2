"""The process that clusters are in: what holds for all of it while any is open, and its end.

Settings and log levels are the whole process's, as `dask.config` and `logging` are: the first
cluster sets them, and the last one puts back what was there.

A cluster that nobody has closed ends with its process, and is left alone by its forks. A process
ends in four ways: with the interpreter, by a signal that asks for it, by one that can't be heard,
and by `os._exit`. Jobs of unnamed runs go on after the last two only; a named run is left in any
case.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import threading
import weakref
from contextlib import ExitStack
from typing import Any, Protocol

import dask
from distributed.utils import silence_logging_cmgr

from dask_knot.internals import clients_here, stop_loop

#: P2P needs live workers; graphs that are built while a cluster is open use tasks instead.
SHUFFLES = {"dataframe.shuffle.method": "tasks", "array.rechunk.method": "tasks"}
#: What Dask runs for each client of this process that has connected.
NEWCOMERS = "dask_knot.cluster.newcomers"
#: What a terminal that is closed, a scheduler of jobs, or `kill` send.
SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
#: Seconds that the end of a cluster may take: its jobs' and that of its values.
LONGEST = 180.0


class Overrides:
    """Set by the first cluster that opens, restored when the last one has closed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._restore = ExitStack()

    def acquire(self, silence_logs: int) -> None:
        """Note that a cluster opens; log lines of Dask below a level are not shown meanwhile."""
        with self._lock:
            self._users += 1
            if self._users > 1:
                return
            self._restore.enter_context(dask.config.set({**SHUFFLES, **preloads()}))
            for root in ("distributed", "bokeh") if silence_logs else ():
                self._restore.enter_context(silence_logging_cmgr(silence_logs, root))

    def release(self) -> None:
        """Note that a cluster has closed."""
        with self._lock:
            self._users -= 1
            if not self._users:
                self._restore.close()


def preloads() -> dict[str, list[Any]]:
    """Give Dask's configuration of what is run for each client, with that of ours as well."""
    modules: Any = dask.config.get("distributed.client.preload", None) or []
    modules = [modules] if isinstance(modules, str) else modules
    options: Any = dask.config.get("distributed.client.preload-argv", None) or []
    found = {"distributed.client.preload": [*modules, NEWCOMERS]}
    if options and not isinstance(options[0], str):  # a list of options for each
        found["distributed.client.preload-argv"] = [*options, []]
    return found


#: One for the process, as `dask.config` and `logging` are.
overrides = Overrides()


class OpenCluster(Protocol):
    """A cluster, as it is known here."""

    @property
    def settings(self) -> Any:
        """Its settings: whether it holds a named run."""

    @property
    def scheduler(self) -> Any:
        """Dask's scheduler, which knows its clients, once it is open."""

    @property
    def loop(self) -> Any:
        """Its event loop, Tornado's."""

    def close_in_loop(self, timeout: float) -> None:
        """Close from a thread in which the event loop doesn't run."""

    def end_now(self) -> None:
        """Leave a named run, or end an unnamed one, without the event loop."""

    def abandon(self) -> None:
        """Leave everything to the process of which this is a fork."""


#: The clusters of this process that are open.
open_here: weakref.WeakSet[OpenCluster] = weakref.WeakSet()


def close_clients(cluster: OpenCluster) -> None:
    """Close the clients of a cluster: they have nothing left, and would try to connect again.

    One that notices the end by itself, or made it, would keep the thread of the event loop running.
    """
    for client in clients_here():
        if client.cluster is cluster and not client.asynchronous:
            with contextlib.suppress(TimeoutError):
                client.close()
            stop_loop(client)


def close_all() -> None:
    """Close what is open when the interpreter ends."""
    for cluster in list(open_here):
        with contextlib.suppress(Exception):
            if cluster.loop.asyncio_loop.is_running():
                cluster.close_in_loop(timeout=LONGEST)
        # There may be no loop any more, or it is stuck.
        with contextlib.suppress(Exception):
            cluster.end_now()


def hear_signals() -> None:
    """Let signals that end a process end its clusters first, unless the user has other plans."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in SIGNALS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end_and_go)


def _end_and_go(number: int, frame: object) -> None:
    """End or leave all runs, then do what the signal does by itself.

    Not an exception in the main thread, which user code might catch; and in another thread, as
    this one may hold a lock just now.
    """
    signal.signal(number, signal.SIG_DFL)  # who asks twice is heard at once
    ends = [threading.Thread(target=_end, args=(one,), daemon=True) for one in list(open_here)]
    for end in ends:
        end.start()
    for end in ends:
        end.join(LONGEST)
    os.kill(os.getpid(), number)


def _end(cluster: OpenCluster) -> None:
    with contextlib.suppress(Exception):
        cluster.end_now()


def forget_all() -> None:
    """Let go of all clusters in a fork, which has their sockets and files but none of the threads.

    Its end, in whatever way, must neither wait for those threads nor remove the files.
    """
    for cluster in list(open_here):
        cluster.abandon()
    for client in clients_here():
        if client.cluster in open_here:
            client.status = "closed"
    open_here.clear()


# Not `atexit` alone: the executors, with which a cluster closes, end before its hooks are called.
getattr(threading, "_register_atexit", atexit.register)(close_all)
if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(after_in_child=forget_all)
