"""A launcher that is rough with its children: it gives them another program, kills, stops them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dask_knot import KnotCluster
from dask_knot.local.launcher import ChildProcess, Exit, Launcher, Listener
from tests import inside


class Rough:
    """Stands between the dispatcher of a cluster and its launcher.

    Parameters
    ----------
    cluster : KnotCluster
        An open cluster of the local engine.

    Attributes
    ----------
    started : callable
        Called with the id of each child that runs.
    """

    def __init__(self, cluster: KnotCluster) -> None:
        dispatcher: Any = inside.batch(cluster)._dispatcher  # type: ignore[union-attr]
        self._launcher: Launcher = dispatcher._launcher
        self._listener: Listener = dispatcher
        self._running: set[str] = set()
        self._lock = threading.Lock()
        self.started: Callable[[str], None] = lambda child: None
        dispatcher._launcher = self
        self._launcher.bind(self)

    def bind(self, listener: Listener) -> None:
        """Name the listener."""
        self._listener = listener

    def start(self, child: ChildProcess) -> None:
        """Start a child with our program."""
        python, flag, module, *arguments = child.command
        assert module == "dask_knot.job"
        self._launcher.start(replace(child, command=(python, flag, "tests.chaos.job", *arguments)))

    def signal(self, child_id: str, number: int) -> None:
        """Send a signal to a child."""
        self._launcher.signal(child_id, number)

    def close(self) -> None:
        """Close the launcher."""
        self._launcher.close()

    def runs(self, child_id: str) -> bool:
        """Tell whether a child runs."""
        with self._lock:
            return child_id in self._running

    def child_started(self, child_id: str) -> None:
        """Pass it on, and on to whoever wants to be rough."""
        with self._lock:
            self._running.add(child_id)
        self._listener.child_started(child_id)
        self.started(child_id)

    def child_exited(self, child_id: str, end: Exit) -> None:
        """Pass it on."""
        with self._lock:
            self._running.discard(child_id)
        self._listener.child_exited(child_id, end)
