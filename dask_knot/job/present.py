"""The tasks that this process runs at the moment, by thread: as Dask's functions are told of them.

A thread that runs tasks registers once; a task costs nothing more. A process of a job's pool also
writes down which one it runs, where the job can read it, as it can't be asked: its only thread may
be in the midst of a task that doesn't let any other run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import get_ident
from typing import Any

from dask.typing import Key

from dask_knot.internals import thread_state
from dask_knot.run.asks import PresentTask, printed

_threads: dict[int, Mapping[str, Any]] = {}
_write: Callable[[str, float], None] | None = None


def register() -> None:
    """Let others know what this thread runs from now on."""
    _threads[get_ident()] = vars(thread_state)


def write_with(write: Callable[[str, float], None]) -> None:
    """From now on, write down the task of this process, too: its key and start, none at its end."""
    global _write
    _write = write


@contextmanager
def written_down(key: Key) -> Iterator[None]:
    """Write down that this process runs a task, as long as it does."""
    if _write is not None:
        _write(printed(key), time.time())
    try:
        yield
    finally:
        if _write is not None:
            _write("", 0.0)


def by_thread() -> dict[int, PresentTask]:
    """Tell what runs, by thread: the longest first."""
    now = time.time()
    found = {}
    for id, notes in _threads.copy().items():
        key, start = notes.get("key", _NOTHING), notes.get("start_time")
        if key is not _NOTHING and start is not None:
            found[id] = PresentTask(printed(key), max(now - start, 0.0))
    return dict(sorted(found.items(), key=lambda item: -item[1].seconds))


_NOTHING = object()
