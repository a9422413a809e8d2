"""The tasks that this process runs at the moment: each thread notes its own.

A process of a job's pool also writes it where the job can read it, as it can't be asked: its only
thread may be in the midst of a task that doesn't let any other run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import get_ident
from typing import NamedTuple

from dask.typing import Key

from dask_knot.run.asks import PresentTask, printed


class Begun(NamedTuple):
    """A task that a thread has begun, and when (seconds of the epoch)."""

    key: Key
    start: float


_begun: dict[int, Begun] = {}
_write: Callable[[str, float], None] | None = None


def begin(key: Key, start: float) -> None:
    """Note that this thread begins a task."""
    _begun[get_ident()] = Begun(key, start)
    if _write is not None:
        _write(printed(key), start)


def end() -> None:
    """Note that this thread runs no task any more."""
    _begun.pop(get_ident(), None)
    if _write is not None:
        _write("", 0.0)


def write_with(write: Callable[[str, float], None]) -> None:
    """From now on, write down the task of this process, too: its key and start, none at its end."""
    global _write
    _write = write


def by_thread() -> dict[int, PresentTask]:
    """Tell what runs, by thread: the longest first."""
    now = time.time()
    there = sorted(_begun.copy().items(), key=lambda item: item[1].start)
    return {id: PresentTask(printed(one.key), max(now - one.start, 0.0)) for id, one in there}
