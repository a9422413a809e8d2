"""What a job uses at the moment: its processor time and memory, with all that it has started."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import psutil

#: The launcher of jobs that are processes of this machine says how many MiB they may have.
LIMIT = "DASK_KNOT_JOB_MEMORY"
_MIB = 2**20
#: The files of a container's limit, in version 2 and 1 of control groups.
_GROUP_LIMITS = ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes")


class Burden:
    """Measures what this process and its descendants use, from one reading to the next."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._limit = memory_limit(root)
        self._read = time.monotonic()
        self._seconds, _ = _measured()

    @property
    def limit(self) -> int:
        """The bytes that it may have; 0 if that isn't known."""
        return self._limit

    def read(self) -> tuple[float, int]:
        """Give the cores that were busy since the last reading, and the bytes in memory."""
        seconds, memory = _measured()
        now = time.monotonic()
        passed, used = now - self._read, max(seconds - self._seconds, 0.0)
        self._read, self._seconds = now, seconds
        return used / passed if passed > 0 else 0.0, memory


def _measured() -> tuple[float, int]:
    seconds, memory = 0.0, 0
    own = psutil.Process()
    with suppress(psutil.Error):
        for one in (own, *own.children(recursive=True)):
            with suppress(psutil.Error):  # it has ended meanwhile
                times = one.cpu_times()
                seconds += times.user + times.system
                found = one.memory_info()
                # What is mapped of files, such as values that others have, too, isn't its own.
                memory += found.rss - getattr(found, "shared", 0)
        ended = own.cpu_times()
        seconds += getattr(ended, "children_user", 0.0) + getattr(ended, "children_system", 0.0)
    return seconds, memory


def memory_limit(root: Path = Path("/")) -> int:
    """Give the bytes that this job may have; 0 if that isn't known."""
    with suppress(KeyError, ValueError):
        return int(os.environ[LIMIT]) * _MIB
    for name in _GROUP_LIMITS:
        with suppress(OSError, ValueError):
            found = int((root / name).read_text())
            if found < 2**50:  # version 1 says so that there is none
                return found
    return 0
