"""A launcher without processes: what ends how is said by the test."""

from __future__ import annotations

import threading

from dask_knot.local.launcher import ChildProcess, Exit, Listener
from tests.local.desk import wait_until


class FakeLauncher:
    """Keeps what it is asked to start until the test ends it.

    Parameters
    ----------
    ends
        How attempts end by themselves, by the first word of their command.
    """

    def __init__(self, **ends: list[Exit]) -> None:
        self.ends = ends
        self.started: list[ChildProcess] = []
        self.running: dict[str, ChildProcess] = {}
        self.signals: list[tuple[str, int]] = []
        self.is_closed = False
        self._listener: Listener | None = None
        self._lock = threading.Lock()

    def bind(self, listener: Listener) -> None:
        self._listener = listener

    def start(self, child: ChildProcess) -> None:
        assert self._listener is not None
        with self._lock:
            self.started.append(child)
            self.running[child.child_id] = child
        self._listener.child_started(child.child_id)
        if ends := self.ends.get(child.command[0]):
            self.end(child.child_id, ends.pop(0) if len(ends) > 1 else ends[0])

    def signal(self, child_id: str, number: int) -> None:
        self.signals.append((child_id, number))

    def end(self, child_id: str, end: Exit) -> None:
        assert self._listener is not None
        with self._lock:
            del self.running[child_id]
        self._listener.child_exited(child_id, end)

    def close(self) -> None:
        self.is_closed = True


def running(launcher: FakeLauncher, count: int) -> list[str]:
    """Wait until so many children run; return their ids."""
    wait_until(lambda: len(launcher.running) == count)
    return list(launcher.running)
