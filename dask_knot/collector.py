"""Pauses Python's garbage collector where many small objects are made and none is garbage."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

#: So many objects that were made in a pause are old at once, without a walk over them.
LARGE = 50_000
#: As many as may be, until the collector has walked over all objects.
MOST_OLD = 2_000_000

_lock = Lock()
_pauses = 0
_was_enabled = False
_old = 0
_walks = 0


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
                _make_old()
                gc.enable()


def _make_old() -> None:
    """Let what was made in a long pause be as old as what has survived all walks.

    Else it would be walked over three times, once for each generation, and everything else with it.
    What is garbage among it waits for a walk over all: so there is an end to it.
    """
    global _old, _walks
    made, walks = gc.get_count()[0], gc.get_stats()[-1]["collections"]
    if walks != _walks:
        _walks, _old = walks, 0
    if made < LARGE or _old + made > MOST_OLD or gc.get_freeze_count():  # the user's own stay so
        return
    _old += made
    gc.freeze()
    gc.unfreeze()


def _go_on() -> None:
    """Let the collector of a fork go on: the threads that paused it are in the other process."""
    global _lock, _pauses
    _lock = Lock()
    if _pauses and _was_enabled:
        gc.enable()
    _pauses = 0


if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(after_in_child=_go_on)
