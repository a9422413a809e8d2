"""Spare children of the fork server: forked and practised before there is a job for them.

A fork copies each page that it writes to, some thousands of them before a task runs: that takes
longer than all else that a short job does. A spare has that behind it when its job comes.
"""

from __future__ import annotations

import importlib
import os
import socket
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from dask_knot.local.child import Inheritance, become, detach, practise_entry
from dask_knot.local.wire import Message, Unpacker, pack

#: Spares end when no job has come for so many seconds.
LINGER = 2.0
#: After so many that have ended by themselves none is made any more.
MOST_FAILURES = 3
_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class _Spare:
    pid: int
    line: socket.socket


class Spares:
    """As many as jobs have run at once lately, while a core is free to make them.

    Parameters
    ----------
    clock : callable
        Seconds.
    cores : int
        No more than so many jobs and spares at once, unless more jobs are asked for.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, cores: int = _CORES) -> None:
        self._clock = clock
        self._cores = cores
        self._ready: list[_Spare] = []
        self._gone: set[int] = set()  # that were dismissed, and haven't ended yet
        self._wanted = 0
        self._last = clock()
        self._failures = 0
        self.practice = ""

    def __bool__(self) -> bool:
        return bool(self._ready or self._gone)

    @property
    def descriptors(self) -> list[int]:
        """The server's ends of the lines to them."""
        return [spare.line.fileno() for spare in self._ready]

    @property
    def pids(self) -> list[int]:
        """All that have not ended."""
        return [*(spare.pid for spare in self._ready), *self._gone]

    def note_start(self, running: int) -> None:
        """Note that a job has come, and how many run by now."""
        self._last = self._clock()
        self._wanted = min(max(self._wanted, running), self._cores)

    def is_wanted(self, running: int) -> bool:
        """Tell whether to make one now."""
        if self._failures >= MOST_FAILURES or self._is_overdue():
            return False
        return len(self._ready) < self._wanted and running < self._cores

    def make(self, inherited: Inheritance) -> None:
        """Fork one."""
        near, far = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            near.close()
            _wait(far, inherited, self.practice)
        far.close()
        self._ready.append(_Spare(pid, near))

    def take(self, request: Message) -> int | None:
        """Let the oldest one run a job, and give its pid; None if there is none."""
        while self._ready:
            spare = self._ready.pop(0)
            with spare.line, suppress(OSError):  # it was killed
                spare.line.sendall(pack(request))
                return spare.pid
            self._gone.add(spare.pid)
        return None

    def dismiss(self) -> None:
        """End all: they lack what has been imported since."""
        for spare in self._ready:
            spare.line.close()
            self._gone.add(spare.pid)
        self._ready.clear()

    def dismiss_overdue(self) -> None:
        """End all if no job has come for a while."""
        if self._ready and self._is_overdue():
            self.dismiss()
            self._wanted = 0

    def note_end(self, pid: int) -> None:
        """Note that one has ended."""
        if pid in self._gone:
            self._gone.discard(pid)
            return
        for spare in [spare for spare in self._ready if spare.pid == pid]:
            self._ready.remove(spare)
            spare.line.close()
            self.note_failure()

    def note_failure(self) -> None:
        """Note that one has ended which was not to: the next may fare the same."""
        self._failures += 1

    def _is_overdue(self) -> bool:
        return self._clock() - self._last > LINGER


def _wait(line: socket.socket, inherited: Inheritance, practice: str) -> NoReturn:
    """Be a spare: practise, wait for a request, and become the process that it describes."""
    try:
        detach(inherited)
        practise_entry(inherited)
        if practice:
            importlib.import_module(practice).practise()
        request = _request(line)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    if request is None:
        os._exit(0)
    become(request, inherited)


def _request(line: socket.socket) -> dict[str, Any] | None:
    unpacker = Unpacker()
    with line:
        while data := line.recv(1 << 16):
            for message in unpacker.feed(data):
                return message
    return None
