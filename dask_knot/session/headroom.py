"""Headroom: what memory this process may still take, so that it says so before it is killed.

The kernel ends a process that takes more than there is, without a word. What counts is the machine,
and each control group that the process is in: that of a container, of a service, of a session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock

import psutil

from dask_knot.errors import ClientMemoryError

#: It is looked at again after so many bytes that were taken.
STEP_BYTES = 32 * 2**20
#: Version 1 of control groups says with a number like this that there is no limit.
_NO_LIMIT = 2**50


class Headroom:
    """Refuses what doesn't fit into memory. For several threads.

    Parameters
    ----------
    free : callable, optional
        Gives the bytes that this process may still take.
    """

    def __init__(self, free: Callable[[], int] | None = None) -> None:
        self._free = free or free_memory
        self._lock = Lock()
        self._taken = 0

    def check(self, size: int, what: str) -> None:
        """Say so if something has no place.

        Parameters
        ----------
        size : int
            The bytes that it takes.
        what : str
            What it is, as a sentence begins.

        Raises
        ------
        ClientMemoryError
            If there is less.
        """
        if size and size > (free := self._free()):
            raise refusal(f"{what}: {_readable(size)}, and {_readable(max(free, 0))} are free here")

    def take(self, size: int) -> None:
        """Note bytes that will be taken; from time to time it is looked whether there are as many.

        Raises
        ------
        ClientMemoryError
            If there are less.
        """
        with self._lock:
            self._taken += size
            if self._taken < STEP_BYTES:
                return
            self._taken = 0
        self.check(size, "what is gathered needs more memory than there is")


def refusal(why: str) -> ClientMemoryError:
    """Make the error of who has not the memory for what it asks for."""
    return ClientMemoryError(
        f"{why}. Nothing that was computed is lost: gather fewer values at a time, such as with "
        "as_completed(futures, with_results=True), make them smaller in tasks, or use a machine "
        "that has more memory"
    )


def free_memory(root: Path = Path("/")) -> int:
    """Give the bytes that this process may still take, of the machine and of its control groups."""
    free = psutil.virtual_memory().available + psutil.swap_memory().free
    return min([free, *_free_in_groups(root)])


def _free_in_groups(root: Path) -> Iterator[int]:
    for group, limit, used, cached in _groups(root):
        with suppress(OSError, ValueError):  # "max", or no such file: no limit
            most = int((group / limit).read_text())
            if most < _NO_LIMIT:
                yield most - int((group / used).read_text()) + _cached(group, cached)


def _groups(root: Path) -> Iterator[tuple[Path, str, str, str]]:
    """Name the groups that this process is in, each with its parents, and their files."""
    mount = root / "sys/fs/cgroup"
    new = "memory.max", "memory.current", "inactive_file"
    old = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, kinds, path = line.split(":", 2)
            if not kinds or "memory" in kinds.split(","):
                top, names = (mount, new) if not kinds else (mount / "memory", old)
                own = Path(path.lstrip("/"))
                yield from ((top / part, *names) for part in [own, *own.parents])


def _cached(group: Path, name: str) -> int:
    """Give the bytes of files that the kernel has read, and lets go of first."""
    lines = (group / "memory.stat").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.split()[0] == name), 0)


def _readable(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
