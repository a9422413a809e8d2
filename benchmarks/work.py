"""Functions that the timed tasks run: importable, so that every peer can send them by name."""

from __future__ import annotations

import time


def noop(number: int) -> int:
    """Do nothing, to time what surrounds a task."""
    return number


def warm(number: int) -> int:
    """Import what the cases need, and last long enough that every process gets its share."""
    import dask.array
    import numpy
    import xarray

    import examples.heat
    import examples.pi

    assert all((dask.array, numpy, xarray, examples.heat, examples.pi))
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


def summarise(values: list[int]) -> int:
    """Third step of a pipeline."""
    return sum(values)
