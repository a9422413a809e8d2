"""The trace of a process: files of its own in memory, which tell others of it whatever it does.

Python's `faulthandler` answers a signal in C, so that it also tells where threads are that hold the
interpreter's lock for minutes. It writes into a file that has no name and no place on a disk, and
is gone with its process; others of the same user find it below ``/proc``. On Linux only: elsewhere
there is no trace, and a process that holds the lock tells nothing.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from dask_knot.job.present import Begun, write_with
from dask_knot.run.asks import PresentTask, printed

#: A signal that nobody else uses: it would end a process that doesn't expect it.
SIGNAL = signal.SIGRTMIN + 5 if sys.platform == "linux" else 0
_STACKS, _TASK = "dask-knot-stacks", "dask-knot-task"
#: Seconds that a process may take to answer the signal, and between two looks whether it did.
PATIENCE, PAUSE = 2.0, 0.02
_PROC = Path("/proc")


_opened: list[int] = []


def leave_trace() -> None:
    """Let others find out what this process does, for as long as it lives."""
    if not SIGNAL or _opened:
        return
    with suppress(OSError, ValueError, RuntimeError):  # nobody's task fails for want of it
        stacks = os.memfd_create(_STACKS)
        _opened.append(stacks)
        faulthandler.register(SIGNAL, stacks, all_threads=True)


def leave_task() -> None:
    """Let others find out which task this process runs, too, whatever that task does."""
    if not SIGNAL:
        return
    with suppress(OSError):
        write_with(partial(_write, os.memfd_create(_TASK)))


def _write(file: int, task: Begun | None) -> None:
    text = "" if task is None else f"{task.start!r} {printed(task.key)}"
    data = text.encode(errors="surrogatepass")
    with suppress(OSError):
        os.pwrite(file, len(data).to_bytes(4, "little") + data, 0)


def task_of(pid: int) -> PresentTask | None:
    """Tell which task a process runs, as its trace says."""
    file = _file(pid, _TASK)
    if file is None:
        return None
    with suppress(OSError, ValueError):
        data = file.read_bytes()
        text = data[4:][: int.from_bytes(data[:4], "little")].decode(errors="surrogatepass")
        start, _, key = text.partition(" ")
        return PresentTask(key, max(time.time() - float(start), 0.0)) if start else None
    return None


def stacks_of(pid: int, patience: float = PATIENCE) -> str:
    """Ask a process where its threads are, even if it does nothing else; empty if it has no trace.

    The youngest frame of each thread comes first, as `faulthandler` writes them.
    """
    file = _file(pid, _STACKS)
    if file is None or not _expects(pid):
        return ""
    with suppress(OSError):
        before = file.stat().st_size
        os.kill(pid, SIGNAL)
        size, deadline = before, time.monotonic() + patience
        while time.monotonic() < deadline:
            time.sleep(PAUSE)
            now = file.stat().st_size
            if now == size > before:
                return file.read_bytes()[before:].decode(errors="replace")
            size = now
    return ""


def _file(pid: int, name: str) -> Path | None:
    """Find a file of a process by the name that it has in `memfd_create`."""
    folder = _PROC / str(pid) / "fd"
    with suppress(OSError):
        for one in os.listdir(folder):
            with suppress(OSError):
                if os.readlink(folder / one).startswith(f"/memfd:{name} "):
                    return folder / one
    return None


def _expects(pid: int) -> bool:
    with suppress(OSError, ValueError, IndexError):
        text = (_PROC / str(pid) / "status").read_text()
        caught = int(text.partition("SigCgt:")[2].split()[0], 16)
        return bool(caught >> (SIGNAL - 1) & 1)
    return False
