"""The limit of this machine: what copies and checksums of a case's bytes alone would take."""

from __future__ import annotations

import time
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from dask_knot.run.checksum import crc32

THREADS = 2
#: Larger than the cache that all cores share, so that memory is what is timed.
AREA = 128 * 2**20
#: What is copied and then checked while it is still in the cache of its core.
BLOCK = 2**18


@dataclass(frozen=True)
class Moves:
    """The bytes that a case must move, whoever moves them.

    Parameters
    ----------
    size
        Bytes of all values.
    pieces
        Values that they are in: a single one is moved by one thread.
    copies, checksums
        How often each byte must at least be copied, and checked: a value is copied and checked
        when it is written, and checked when it is read; what is put together of pieces is copied
        once more.
    """

    size: int
    pieces: int
    copies: int = 1
    checksums: int = 2

    def __call__(self, executor: Executor) -> float:
        """Give the seconds that it takes in memory that is there already."""
        threads = min(THREADS, self.pieces)
        areas = [(np.ones(AREA, np.uint8), np.ones(AREA, np.uint8)) for _ in range(threads)]
        start = time.perf_counter()
        for done in [executor.submit(self._move, *area, self.size // threads) for area in areas]:
            done.result()
        return time.perf_counter() - start

    def _move(self, source: np.ndarray, target: np.ndarray, size: int) -> None:
        for begin in range(0, size, BLOCK):
            at = begin % AREA
            for _ in range(self.copies):
                target[at : at + BLOCK] = source[at : at + BLOCK]
            for _ in range(self.checksums):
                crc32(target[at : at + BLOCK])


def threads() -> ThreadPoolExecutor:
    """Open the peer that does nothing else: both are done without Python's lock."""
    return ThreadPoolExecutor(THREADS)
