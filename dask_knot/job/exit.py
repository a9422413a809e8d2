"""Ends the process of a job whose work is done, whatever its tasks have left behind."""

from __future__ import annotations

import os
import sys
import threading

import psutil

from dask_knot.job.console import say

#: So many seconds may what is left take to end by itself: nobody waits for it any more.
GRACE = 5.0


def leave(code: int, grace: float = GRACE) -> None:
    """Let the process end within a while.

    Python waits at its end for threads that a task left behind, for its pools and processes, and
    exit functions, if need be for ever: that would keep the slot, and on AWS a machine.

    Parameters
    ----------
    code : int
        What the process then ends with: what it would have ended with.
    grace : float
        Seconds until then.
    """
    thread = threading.Thread(
        target=_end, args=(code, grace), name="dask-knot-leaving", daemon=True
    )
    try:
        thread.start()
    except RuntimeError:  # there are too many already, all of them left behind
        _end(code, 0)


def _end(code: int, grace: float) -> None:
    # Nothing sets it: it can't be left too early, and needs no other thread.
    threading.Event().wait(grace)
    try:
        words = ", ".join(_left()) or "an exit function"
        say(f"the work of this job is done, but it did not exit: gave up on {words}")
        sys.stdout.flush()
    finally:
        os._exit(code)


def _left() -> list[str]:
    """Name what keeps this process, as far as that is known."""
    threads = [
        f"thread {thread.name!r}"
        for thread in threading.enumerate()
        if not thread.daemon and thread is not threading.main_thread()
    ]
    try:
        children = psutil.Process().children()
    except psutil.Error:
        children = []
    return threads + [f"process {child.pid}" for child in children]
