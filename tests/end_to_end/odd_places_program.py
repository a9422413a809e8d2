"""A program that moves some megabytes in odd places, in a namespace of mounts of its own.

    python odd_places_program.py FOLDER

Its standard input has a line for each place: a name, and a command that makes it so. What lies in
FOLDER then are temporary files, or the store of a user who gave one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import dask
import dask.array as da
import numpy as np
from distributed import Client

from dask_knot import KnotCluster

SHARED = Path("/dev/shm")
#: 2 MB, of which the smallest place holds one half.
LENGTH, ARRAYS = 250_000, 6
SIDE = 1_000


def fill(number: int) -> np.ndarray:
    """Make 2 MB."""
    return np.full(LENGTH, number, float)


def add(*arrays: np.ndarray) -> np.ndarray:
    """Make 2 MB of those of others."""
    return np.sum(arrays, axis=0)


def compute(store: str | None) -> None:
    """Make values, let tasks read them, gather, scatter and rechunk."""
    fine = {"knot.local.target": "1ms", "knot.local.shards-per-slot": 4, "knot.local.preload": []}
    few = {"jobs": 2, "memory": "1 GiB", "dashboard_address": None}
    with (
        dask.config.set(fine),
        KnotCluster(store=store, **few) as cluster,
        Client(cluster) as client,
    ):
        arrays = client.map(fill, range(ARRAYS))
        total = client.submit(add, *arrays)
        assert [array[0] for array in client.gather(arrays)] == list(range(ARRAYS))
        assert total.result()[-1] == sum(range(ARRAYS))
        scattered = client.scatter(fill(7))
        assert client.submit(np.sum, scattered).result() == 7 * LENGTH
        numbers = np.arange(float(SIDE**2)).reshape(SIDE, SIDE)
        bands = da.from_array(numbers, chunks=(SIDE // 8, SIDE))
        assert np.array_equal(bands.rechunk((SIDE, SIDE // 8)).compute(), numbers)


def left() -> list[str]:
    """List what is in shared memory."""
    return sorted(path.name for path in SHARED.iterdir()) if SHARED.exists() else []


def main(folder: str) -> None:
    for line in sys.stdin:
        name, command = line.split(None, 1)
        subprocess.run(["sh", "-e", "-c", command], check=True)
        before, tempfile.tempdir = left(), folder
        try:
            compute(store=folder if name.startswith("store") else None)
        except Exception:
            print(name, traceback.format_exc())
        else:
            print(name, "right" if left() == before else f"left {left()}")
        os.chdir("/")


if __name__ == "__main__":
    main(*sys.argv[1:])
