"""The process that clusters are in: what holds for all of it while any is open.

Settings and log levels are the whole process's, as `dask.config` and `logging` are: the first
cluster sets them, and the last one puts back what was there, unless somebody has set something else
meanwhile. Graphs are built with them before anybody knows which cluster they are for. The end of
the process is that of all sessions in it (`session/process.py`).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

import dask
from distributed.utils import silence_logging_cmgr, sync

from dask_knot.graphs.shuffles import BRANCH
from dask_knot.internals import clients_here, stop_loop
from dask_knot.planning.passes import Passes

#: P2P needs live workers; graphs that are built while a cluster is open use tasks instead.
SHUFFLES = {"dataframe.shuffle.method": "tasks", "array.rechunk.method": "tasks"}
#: Dask's own numbers for passes, and ours for the partitions that are shuffled in one.
THRESHOLD, SPLIT_EVERY = "array.rechunk.threshold", "split_every"
#: What Dask runs for each client of this process that has connected.
NEWCOMERS = "dask_knot.cluster.newcomers"


class Overrides:
    """Set by the first cluster that opens, restored when the last one has closed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._restore = ExitStack()
        self._ours: dict[str, Any] = {}

    def acquire(self, silence_logs: int, passes: Passes | None = None) -> None:
        """Note that a cluster opens.

        Parameters
        ----------
        silence_logs : int
            Log lines of Dask below this level are not shown meanwhile.
        passes : Passes, optional
            How finely Dask may cut what moves from all to all, where the user hasn't said it.
        """
        with self._lock:
            self._users += 1
            if self._users > 1:
                return
            numbers = {} if passes is None else unsaid(passes)
            self._ours = {**SHUFFLES, **numbers, **preloads()}
            self._restore.enter_context(dask.config.set(self._ours))
            for root in ("distributed", "bokeh") if silence_logs else ():
                self._restore.enter_context(silence_logging_cmgr(silence_logs, root))

    def release(self) -> None:
        """Note that a cluster has closed."""
        with self._lock:
            self._users -= 1
            if not self._users:
                now = {name: dask.config.get(name, None) for name in self._ours}
                changed = {
                    name: now[name] for name, ours in self._ours.items() if now[name] != ours
                }
                self._restore.close()
                dask.config.set(changed)


def unsaid(passes: Passes) -> dict[str, int]:
    """Give the settings for some passes that the user has not made, in a file or otherwise."""
    found = {
        THRESHOLD: passes.pieces,
        BRANCH: passes.branch,
        SPLIT_EVERY: passes.joined,
    }
    said = dask.config.collect()
    return {
        name: number
        for name, number in found.items()
        if dask.config.get(name, None) == _default(name) and _value(name, said) is None
    }


def _default(name: str) -> Any:
    """Give what Dask's own files say, or other packages'."""
    known = [_value(name, defaults) for defaults in dask.config.defaults]
    return next((value for value in reversed(known) if value is not None), None)


def _value(name: str, config: Any) -> Any:
    return dask.config.get(name, None, config=config)


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


def close_clients(cluster: Any) -> None:
    """Close the clients of a cluster: they have nothing left, and would try to connect again.

    One that notices the end by itself, or made it, would keep the thread of the event loop running.
    """
    for client in clients_here():
        if client.cluster is cluster and not client.asynchronous:
            with contextlib.suppress(TimeoutError):
                client.close()
            stop_loop(client)


def close_in_loop(cluster: Any, close: Callable[[], Awaitable[None]], timeout: float) -> None:
    """Close a cluster from a thread in which its event loop doesn't run, if that runs anywhere."""
    if cluster.loop.asyncio_loop.is_running():
        if not cluster.called_from_running_loop:
            close_clients(cluster)
        sync(cluster.loop, close, callback_timeout=timeout)


def forget_clients(cluster: Any) -> None:
    """Take the clients of a cluster for closed, in a fork: they have none of their threads."""
    for client in clients_here():
        if client.cluster is cluster:
            client.status = "closed"
