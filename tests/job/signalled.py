"""Tasks of jobs that get SIGTERM: each tells by a file that it has begun."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

#: No task takes so many seconds: the test has failed by then.
LONG = 60.0


def loops(begun: Path, _: Any = None) -> None:
    """Be busy in Python."""
    begun.touch()
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        pass


def sleeps(begun: Path | None = None, _: Any = None) -> None:
    """Be in one call of the system, unless that is over for whom it is."""
    if begun is None or not begun.with_name("over").exists():
        if begun is not None:
            begun.touch()
        time.sleep(LONG)


def multiplies(begun: Path, _: Any = None) -> None:
    """Be in one call of a library that lets other threads run."""
    matrix = np.random.default_rng(0).random((4000, 4000))
    begun.touch()
    np.linalg.svd(matrix)


def makes_async(begun: Path, _: Any = None) -> None:
    """Take the wakeup pipe away, as event loops with handlers do."""

    async def wait() -> None:
        if threading.current_thread() is threading.main_thread():
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGUSR1, print)
        begun.touch()
        await asyncio.sleep(LONG)

    asyncio.run(wait())


def runs_a_program(begun: Path, _: Any = None) -> None:
    """Wait for a program."""
    with subprocess.Popen(["sleep", "60"]) as program:
        begun.touch()
        if program.wait():
            raise ChildProcessError("the program has failed")


def forks(begun: Path, _: Any = None) -> None:
    """Wait for a fork."""
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(LONG,))
    process.start()
    begun.touch()
    process.join()


class _Slow:
    def __init__(self, begun: Path) -> None:
        self.begun = begun

    def __reduce__(self) -> tuple[type, tuple[()]]:
        self.begun.touch()
        time.sleep(0.5)
        return object, ()


def takes_long_to_pickle(begun: Path) -> _Slow:
    """Make a value that takes a while to pickle."""
    return _Slow(begun)


def handles(begun: Path, _: Any = None) -> str:
    """Go on after SIGTERM, once the part is there."""
    got = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: got.set())
    begun.touch()
    end = time.monotonic() + LONG
    part = next(begun.parent.glob("store/run/manifests/*"), None)
    while not (got.is_set() and part) and time.monotonic() < end:
        part = next(begun.parent.glob("store/run/manifests/*/*.p000"), None)
        time.sleep(0.01)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return "handled"


def chains(begun: Path, _: Any = None) -> None:
    """Do something at SIGTERM, and leave the rest to the handler that there was."""
    before: Any = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda number, frame: before(number, frame))
    begun.touch()
    time.sleep(LONG)


def ignores(begun: Path, _: Any = None) -> str:
    """Ignore SIGTERM, until told otherwise."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    begun.touch()
    end = time.monotonic() + LONG
    while not begun.with_name("over").exists() and time.monotonic() < end:
        time.sleep(0.01)
    return "ignored"


def asks_for_more(begun: Path, _: Any = None) -> None:
    """End a fork by SIGTERM, as pools of processes do, and tell its exit code."""
    ready = begun.with_name("ready")
    process = multiprocessing.get_context("fork").Process(target=sleeps, args=(ready,))
    process.start()
    end = time.monotonic() + LONG
    while not ready.exists() and time.monotonic() < end:
        time.sleep(0.01)
    os.kill(process.pid or 0, signal.SIGTERM)
    process.join()
    begun.write_text(str(process.exitcode))
