"""Functions that the timed tasks run: importable, so that every peer can send them by name."""

from __future__ import annotations

import time

import numpy as np


def noop(number: int) -> int:
    """Do nothing, to time what surrounds a task."""
    return number


def increment(number: int) -> int:
    """Do next to nothing with the value of the task before."""
    return number + 1


def warm(number: int) -> int:
    """Import what the cases need, and last long enough that every process gets its share."""
    import dask.array
    import dask.dataframe
    import pandas
    import xarray

    import examples.heat
    import examples.pi

    assert all((dask.array, dask.dataframe, pandas, xarray))
    assert all((examples.heat, examples.pi))
    time.sleep(0.1)
    return number


def spin(iterations: int) -> int:
    """Keep one core busy in pure Python."""
    total = 0
    for number in range(iterations):
        total += number
    return total


def iterations_per_millisecond(iterations: int = 200_000) -> float:
    """Calibrate `spin` on this machine: the best of several runs, as the others were disturbed."""
    best = float("inf")
    for _ in range(7):
        start = time.perf_counter()
        spin(iterations)
        best = min(best, time.perf_counter() - start)
    return iterations / best / 1000


def load(number: int) -> list[int]:
    """First step of a pipeline."""
    return [number] * 100


def clean(values: list[int]) -> list[int]:
    """Second step of a pipeline."""
    return [value + 1 for value in values]


def summarize(values: list[int]) -> int:
    """Third step of a pipeline."""
    return sum(values)


def band(number: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Make a block of a number."""
    return np.full(shape, float(number[0]))


def block(number: int, size: int) -> np.ndarray:
    """Make so many bytes of a number."""
    return np.full(size, number, np.uint8)


def touch(values: np.ndarray) -> int:
    """Read a byte of each page, which must all be the same, and give it."""
    first = int(values[0])
    assert int(values[-1]) == first
    assert not np.any(values[::4096] != first)
    return first
