"""The memory limit of processes on this machine: their memory is read ten times a second."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Callable

import psutil

INTERVAL = 0.1
_MIB = 1 << 20


class MemoryWatch:
    """One thread that reads the memory of process groups, and rests while there are none.

    Parameters
    ----------
    exceeded
        Called with the child's id, at most once each, from the watching thread.
    interval
        Seconds between two readings.
    """

    def __init__(self, exceeded: Callable[[str], None], interval: float = INTERVAL) -> None:
        self._exceeded = exceeded
        self._interval = interval
        self._limits: dict[int, tuple[str, int]] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None

    def add(self, child_id: str, group: int, limit: int) -> None:
        """Watch the process group of that number; ``limit`` in MiB."""
        with self._changed:
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(
                    target=self._run, name="knot-memory-watch", daemon=True
                )
                self._thread.start()
            self._limits[group] = (child_id, limit * _MIB)
            self._changed.notify()

    def remove(self, group: int) -> None:
        """Watch it no longer."""
        with self._changed:
            self._limits.pop(group, None)

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._limits or self._closing)
                self._changed.wait_for(lambda: self._closing, self._interval)
                if self._closing:
                    return
                limits = dict(self._limits)
            for group, pids in _groups(limits).items():
                child_id, limit = limits[group]
                if _is_over(pids, limit):
                    self.remove(group)
                    self._exceeded(child_id)


def _groups(wanted: dict[int, tuple[str, int]]) -> dict[int, list[int]]:
    """Return the processes of each wanted group."""
    groups = defaultdict(list)
    for pid in psutil.pids():
        try:
            group = os.getpgid(pid)
        except (ProcessLookupError, PermissionError):
            continue
        if group in wanted:
            groups[group].append(pid)
    return groups


def _is_over(pids: list[int], limit: int) -> bool:
    # Resident memory is quick to read but counts the pages that a child shares with the warm
    # server: only when it is over the limit is it worth asking what is the child's own.
    return _sum(pids, _resident) > limit and _sum(pids, _own) > limit


def _sum(pids: list[int], measure: Callable[[psutil.Process], int]) -> int:
    total = 0
    for pid in pids:
        try:
            total += measure(psutil.Process(pid))
        except psutil.Error:
            continue
    return total


def _resident(process: psutil.Process) -> int:
    return int(process.memory_info().rss)


def _own(process: psutil.Process) -> int:
    full = process.memory_full_info()
    return int(getattr(full, "pss", None) or full.uss)
