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
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from dask_knot.run.asks import PresentTask
from dask_knot.run.names import ShardId, parse_pack

#: A signal that nobody else uses: it would end a process that doesn't expect it.
SIGNAL = signal.SIGRTMIN + 5 if sys.platform == "linux" else 0
_STACKS, _TASK, _JOB = "dask-knot-stacks", "dask-knot-task", "dask-knot-job"
#: Seconds that a process may take to answer the signal, and between two looks whether it did.
PATIENCE, PAUSE = 2.0, 0.02
_PROC = Path("/proc")


class TracedJob(NamedTuple):
    """A process of this machine that runs a shard: what `leave_trace` was told of it.

    Attributes
    ----------
    pid : int
        The process.
    url, number : str, int
        The pack of its stage, and which shard of that.
    job : str
        The id of the child at Batch.
    """

    pid: int
    url: str
    number: int
    job: str

    def shard_of(self, store: str, run: str) -> ShardId | None:
        """Tell which shard of a run it runs; None if it is of another run."""
        root, name, stage = parse_pack(self.url)
        return ShardId(stage, self.number) if (root, name) == (store, run) else None


_opened: list[int] = []


def leave_trace(url: str = "", index: int = 0, job: str = "") -> None:
    """Let others find out what this process does, for as long as it lives."""
    if not SIGNAL or _opened:
        return
    with suppress(OSError, ValueError, RuntimeError):  # nobody's task fails for want of it
        stacks = os.memfd_create(_STACKS)
        _opened.append(stacks)
        faulthandler.register(SIGNAL, stacks, all_threads=True)
        if url:
            os.write(os.memfd_create(_JOB), f"{index} {job} {url}".encode())


def leave_task() -> Callable[[str, float], None]:
    """Let others find out which task this process runs, too, whatever that task does.

    Returns
    -------
    callable
        To be called with the task's key and its start; without a key when it is over.
    """
    if not SIGNAL:
        return lambda key, start: None
    return partial(_write, os.memfd_create(_TASK))


def _write(file: int, key: str, start: float) -> None:
    data = f"{start!r} {key}".encode(errors="surrogatepass") if key else b""
    with suppress(OSError):
        os.pwrite(file, len(data).to_bytes(4, "little") + data, 0)


def traced_jobs() -> Iterator[TracedJob]:
    """Name the processes of this machine that run shards, as far as this user may know."""
    with suppress(OSError):
        for name in os.listdir(_PROC):
            file = _file(int(name), _JOB) if name.isdecimal() else None
            with suppress(OSError, ValueError):
                if file is not None:
                    index, job, url = file.read_text().split(" ", 2)
                    yield TracedJob(int(name), url, int(index), job)


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
