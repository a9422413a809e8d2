"""Process groups of the fork server's children: how they are ended, and with what code they did."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterable


def exit_code(status: int) -> int:
    """Give the exit code that a wait status stands for, ``128 + n`` after signal n."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def kill(pid: int, number: int) -> None:
    """Send a signal to a child and all that it has started."""
    if not kill_group(pid, number):
        # The child has been forked this moment and does not lead a group yet.
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return


def kill_group(pid: int, number: int) -> bool:
    """Send a signal to the group that a child leads; tell whether there was one."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def end_softly(pids: Iterable[int], grace: float, wakeup: int) -> set[int]:
    """Let children commit what they have done, and tell which have not ended then.

    Only they themselves get SIGTERM: a task would fail whose programs end before it does.

    Parameters
    ----------
    pids : iterable of int
        Children that were not waited for yet.
    grace : float
        After so many seconds nothing is waited for; at once, and without any signal, if there are
        none.
    wakeup : int
        A pipe, not blocking, that can be read when a child has ended.
    """
    left = set(pids)
    if grace <= 0:
        return left
    for pid in left:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while left and (patience := deadline - time.monotonic()) > 0:
        pid, _ = os.waitpid(-1, os.WNOHANG)
        if pid:
            kill_group(pid, signal.SIGKILL)
            left.discard(pid)
        elif select.select([wakeup], [], [], patience)[0]:
            os.read(wakeup, 1 << 16)
    return left
