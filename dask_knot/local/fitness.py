"""Finds out whether a module may be imported once for all jobs: a process of its own imports it.

Jobs are forks of one process, so whatever a module makes when it is imported they have in common: a
generator of random numbers, an id, a temporary folder, a connection. A module that makes something
which belongs to one process is left to the jobs, each of which then has its own.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn

#: Packages whose state was looked at: it is the same for all processes, minds forks (`os.getpid` is
#: asked for that), or is renewed in each child (`forked`); tokens of locks may be the same.
VETTED = frozenset(
    [
        "dask",
        "dask_knot",
        "distributed",
        "donfig",
        "fsspec",
        "h5netcdf",
        "h5py",
        "joblib",
        "netCDF4",
        "numcodecs",
        "numpy",
        "pandas",
        "partd",
        "psutil",
        "pyarrow",
        "requests",
        "scipy",
        "sklearn",
        "threadpoolctl",
        "tornado",
        "urllib3",
        "xarray",
        "zarr",
    ]
)
#: Functions whose answer belongs to the process that asks.
_ASKED: tuple[tuple[Any, str], ...] = (
    (os, "urandom"),
    (os, "getpid"),
    (random, "_urandom"),
    (random.Random, "seed"),
    (random, "seed"),
    (time, "time"),
    (time, "time_ns"),
    (uuid, "uuid1"),
    (uuid, "getnode"),
)
#: Audit events of things that belong to the process that makes them.
_MADE = frozenset(
    {
        "_thread.start_new_thread",
        "os.fork",
        "os.mkdir",
        "os.posix_spawn",
        "socket.__new__",
        "sqlite3.connect",
        "subprocess.Popen",
        "tempfile.mkdtemp",
        "tempfile.mkstemp",
    }
)
#: What a report says of a module in which nothing was found.
FIT = "fit"
#: So many bytes does a report have at most.
REPORT = 2000
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def is_vetted(name: str) -> bool:
    """Tell whether a module is Python's own, or of a package that was looked at."""
    package = name.partition(".")[0]
    return package in VETTED or package in sys.stdlib_module_names


def report_on(name: str, descriptor: int) -> NoReturn:
    """Be the process that imports a module: write what is wrong with that, and end."""
    words = f"{name} could not be imported"
    tempfile.tempdir = tempfile.mkdtemp(prefix="dask-knot-import-")
    try:
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 1)
        os.dup2(null, 2)
        words = "; ".join(signs_of_own_state(name)) or FIT
    finally:
        shutil.rmtree(tempfile.tempdir, ignore_errors=True)  # no exit function will do that
        # No more than a pipe takes while nobody reads it.
        os.write(descriptor, words.encode(errors="replace")[:REPORT])
        os._exit(0)


def signs_of_own_state(name: str) -> list[str]:
    """Import a module, and name what it has made that no other process may share.

    It changes this process: let it be one that ends afterwards.
    """
    signs: dict[str, None] = {}

    def note(what: str) -> None:
        module = _importing()
        if module is not None and not is_vetted(module):
            signs[f"{module} calls {what}"] = None

    sys.dont_write_bytecode = True  # that is no sign
    for owner, function in _ASKED:
        _tell(owner, function, note)
    _tell(importlib.import_module("atexit"), "register", note)
    sys.addaudithook(lambda event, arguments: _hear(event, arguments, note))
    before = dict(_state())
    importlib.import_module(name)
    after = dict(_state())
    changed = [what for what, state in after.items() if before.get(what, state) != state]
    return [*signs, *(f"{name} changes {what}" for what in changed)]


def _importing() -> str | None:
    """Name the module whose import calls."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_name == "<module>":
            return str(frame.f_globals.get("__name__"))
        frame = frame.f_back
    return None


def _tell(owner: Any, function: str, note: Callable[[str], None]) -> None:
    original = getattr(owner, function)

    def told(*arguments: Any, **named: Any) -> Any:
        note(f"{owner.__name__}.{function}")
        return original(*arguments, **named)

    setattr(owner, function, told)


def _hear(event: str, arguments: tuple[Any, ...], note: Callable[[str], None]) -> None:
    if event in _MADE:
        note(event)
    elif event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES:
        note(f"open({arguments[0]!r}) to write")


def _state() -> Iterator[tuple[str, object]]:
    """Describe what a process has one of."""
    yield "the random numbers of Python", random.getstate()
    if "numpy.random" in sys.modules:
        state = sys.modules["numpy.random"].get_state(legacy=True)
        yield "the random numbers of NumPy", (state[0], state[1].tobytes(), *state[2:])
    yield "environment variables", dict(os.environ)
    yield "the import path", [str(entry) for entry in sys.path]
    yield "the folder", os.getcwd()
    yield "tempfile.tempdir", tempfile.tempdir
    yield "threads", threading.active_count()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        yield f"the handler of {number.name}", signal.getsignal(number)
    with contextlib.suppress(OSError):
        yield "open files", len(os.listdir("/dev/fd"))
