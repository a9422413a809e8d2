"""This machine and its processes: told apart from all others, without a look at any clock."""

from __future__ import annotations

import getpass
import os
import platform
import time
import uuid
from functools import cache
from pathlib import Path

import psutil

from dask_knot.run import versions
from dask_knot.run.presence import SessionInfo

_PROC = Path("/proc")
#: States of processes that have ended, and whose parents haven't asked for that yet.
_ENDED = {"Z", "X", psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}


@cache
def machine_id() -> str:
    """Name this machine, since it was started last, as far as processes here can see each other.

    Containers of one machine see processes of their own only: they are machines of their own.
    """
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink(_PROC / 'self/ns/pid')}"
    except OSError:  # no Linux
        return f"{platform.node()} {uuid.getnode():x} {round(psutil.boot_time())}"


def process_start(pid: int) -> float | None:
    """Tell when a process of this machine began; None if there is none of that number that runs.

    In Linux by the machine's own ticks: what psutil says there moves when its clock is set.
    """
    if _PROC.joinpath("self/stat").exists():
        return _ticks(pid)
    try:
        process = psutil.Process(pid)
        return None if process.status() in _ENDED else process.create_time()
    except psutil.Error:
        return None


def _ticks(pid: int) -> float | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # Behind the name, which may have blanks and brackets: the state is field 3, the start field 22.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in _ENDED else float(fields[19])


def own_info(engine: str, place: str = "") -> SessionInfo:
    """Say who this session is.

    Parameters
    ----------
    engine : str
        The name of its engine.
    place : str
        Where its jobs are, if they go on without it.
    """
    pid = os.getpid()
    return SessionInfo(
        user=user_name(),
        host=platform.node(),
        machine=machine_id(),
        pid=pid,
        process_start=process_start(pid) or 0.0,
        engine=engine,
        opened=time.time(),
        versions=dict(versions.HERE),
        place=place,
    )


def runs_here(who: SessionInfo) -> bool | None:
    """Tell whether the process of a session runs; None if it is of another machine."""
    if who.machine != machine_id():
        return None
    return process_start(who.pid) == who.process_start


def user_name() -> str:
    """Name the user of this process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user without a name, as in containers
        return f"user {os.getuid()}" if hasattr(os, "getuid") else "somebody"
