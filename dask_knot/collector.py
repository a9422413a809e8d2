"""Pauses Python's garbage collector where many small objects are made and none is garbage."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_lock = Lock()
_pauses = 0
_was_enabled = False


@contextmanager
def paused_collector() -> Iterator[None]:
    """Pause the collector, which would walk a growing graph again and again.

    Opening a graph of 65,000 tasks takes a third of the time. Several threads may pause it at once;
    the last one lets it go on.
    """
    global _pauses, _was_enabled
    with _lock:
        if not _pauses:
            _was_enabled = gc.isenabled()
            gc.disable()
        _pauses += 1
    try:
        yield
    finally:
        with _lock:
            _pauses = max(0, _pauses - 1)  # a fork has forgotten those before it
            if not _pauses and _was_enabled:
                gc.enable()


def _go_on() -> None:
    """Let the collector of a fork go on: the threads that paused it are in the other process."""
    global _lock, _pauses
    _lock = Lock()
    if _pauses and _was_enabled:
        gc.enable()
    _pauses = 0


if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(after_in_child=_go_on)
