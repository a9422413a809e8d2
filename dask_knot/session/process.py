"""The process that sessions are in: what nobody has closed ends with it, and is left by its forks.

A process ends in four ways: with the interpreter, by a signal that asks for it, by one that can't
be heard, and by `os._exit`. Jobs of unnamed runs go on after the last two only; a named run is left
in any case.
"""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401  its hook must be there first, to be called last
import contextlib
import os
import signal
import threading
import weakref
from typing import Any, Protocol

#: What a terminal that is closed, a scheduler of jobs, or `kill` send.
SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
#: Seconds that the end of a session may take: its jobs' and that of its values.
LONGEST = 180.0


class SessionHolder(Protocol):
    """Whoever holds a session in this process, as it is known here."""

    def close_at_exit(self, timeout: float) -> None:
        """Close while the interpreter ends, if what it takes for that runs still."""

    def end_now(self) -> None:
        """Leave a named run, or end an unnamed one, without an event loop."""

    def abandon(self) -> None:
        """Leave everything to the process of which this is a fork."""


#: What is open in this process.
open_here: weakref.WeakSet[Any] = weakref.WeakSet()


def close_all() -> None:
    """Close what is open when the interpreter ends; Ctrl-C meanwhile lets that be done in short."""
    for holder in list(open_here):
        with contextlib.suppress(Exception, KeyboardInterrupt):
            holder.close_at_exit(timeout=LONGEST)
        # There may be no loop any more, or it is stuck.
        with contextlib.suppress(Exception, KeyboardInterrupt):
            holder.end_now()


def hear_signals() -> None:
    """Let signals that end a process end its sessions first, unless the user has other plans."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in SIGNALS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end_and_go)


def _end_and_go(number: int, frame: object) -> None:
    """End or leave all runs, then do what the signal does by itself.

    Not an exception in the main thread, which user code might catch; and in another thread, as
    this one may hold a lock just now.
    """
    signal.signal(number, signal.SIG_DFL)  # who asks twice is heard at once
    ends = [threading.Thread(target=_end, args=(one,), daemon=True) for one in list(open_here)]
    for end in ends:
        end.start()
    for end in ends:
        end.join(LONGEST)
    os.kill(os.getpid(), number)


def _end(holder: SessionHolder) -> None:
    with contextlib.suppress(Exception):
        holder.end_now()


def forget_all() -> None:
    """Let go of all in a fork, which has their sockets and files but none of the threads.

    Its end, in whatever way, must neither wait for those threads nor remove the files.
    """
    for holder in list(open_here):
        holder.abandon()
    open_here.clear()


# Not `atexit` alone: the executors, with which a session closes, end before its hooks are called.
getattr(threading, "_register_atexit", atexit.register)(close_all)
if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(after_in_child=forget_all)
