"""The memory limit of processes on this machine: their memory is read ten times a second."""

from __future__ import annotations

import os
import re
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import psutil

INTERVAL = 0.1
_KIB, _MIB = 1 << 10, 1 << 20


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
    # Memory that isn't of files is quick to read but counts what a child has of the warm server:
    # only when that is over the limit is it worth asking what is the child's own.
    return _sum(pids, _anonymous) > limit and _sum(pids, own_memory) > limit


def _sum(pids: list[int], measure: Callable[[psutil.Process], int]) -> int:
    total = 0
    for pid in pids:
        try:
            total += measure(psutil.Process(pid))
        except psutil.Error:
            continue
    return total


def _anonymous(process: psutil.Process) -> int:
    """Give the pages that are in memory, and no part of a file, where the system tells them apart.

    Values that are mapped are files, on a disk or in shared memory: the kernel takes the former
    back when it needs room, and of the latter there is one for all who read it.
    """
    found = process.memory_info()
    return int(found.rss - getattr(found, "shared", 0))


def own_memory(process: psutil.Process) -> int:
    """Give the same, what several processes have since one has forked the other by its share.

    Raises
    ------
    psutil.Error
        If it can't be read.
    """
    try:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        found = dict(re.findall(r"^(Pss_Anon|SwapPss):\s*(\d+) kB", text, re.MULTILINE))
        return (int(found["Pss_Anon"]) + int(found.get("SwapPss", 0))) * _KIB
    except (OSError, KeyError):  # no Linux, one older than 5.4, or another user's process
        full = process.memory_full_info()
        return int(getattr(full, "pss", None) or full.uss)
