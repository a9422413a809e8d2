"""Admission: values that don't fit into memory are refused before the kernel ends the process."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

import psutil

from dask_knot.errors import ClientMemoryError
from dask_knot.run.headroom import Headroom

#: It is looked at again after so many bytes that were let in.
STEP_BYTES = 32 * 2**20


class Admission:
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

    def check(self, size: int) -> None:
        """Say so if something has no place.

        Parameters
        ----------
        size : int
            The bytes that it takes.

        Raises
        ------
        ClientMemoryError
            If there are less.
        """
        if size and size > (free := self._free()):
            raise refusal(f"{_readable(size)} are needed, {_readable(free)} are free")

    def take(self, size: int) -> None:
        """Note bytes that will be taken; from time to time it is looked whether there are as many.

        Raises
        ------
        ClientMemoryError
            If there are less.
        """
        with self._lock:
            self._taken += size
            taken = self._taken
            if taken < STEP_BYTES:
                return
            self._taken = 0
        self.check(taken)


def refusal(why: str) -> ClientMemoryError:
    """Make the error of who has not the memory for what it asks for."""
    return ClientMemoryError(
        f"the gathered values don't fit into the memory of this process: {why}. No results "
        "are lost: gather fewer values at a time, for example with as_completed(futures, "
        "with_results=True), make them smaller in tasks, or use a machine with more memory"
    )


def free_memory() -> int:
    """Give the bytes that this process may still take, of the machine and of its control groups."""
    headroom, machine = Headroom(), psutil.virtual_memory()
    if 0 < headroom.total < machine.total:
        return headroom.available() + headroom.swap()
    # Not all systems have the files of Linux.
    return int(machine.available + psutil.swap_memory().free)


def _readable(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
