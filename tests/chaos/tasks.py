"""What the tasks of random graphs do, in jobs."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from distributed import WorkerPlugin

if TYPE_CHECKING:  # not every image of jobs has it
    import pandas as pd

PRIME = 1_000_003
#: What the plugin of a graph adds to its values, through the environment of the jobs.
VARIABLE = "KNOT_CHAOS_PLUGIN"


class TaskError(Exception):
    """What a task of a graph raises by itself."""


class Setup(WorkerPlugin):  # type: ignore[misc]
    """Lets tasks see a number in their environment; without it they raise."""

    name = "chaos"

    def __init__(self, number: int) -> None:
        self.number = number

    def setup(self, worker: Any) -> None:
        """Set it."""
        os.environ[VARIABLE] = str(self.number)


def source(seed: int, length: int, nap: float) -> np.ndarray:
    """Make a value: no two seeds give the same."""
    time.sleep(nap)
    return (np.arange(length, dtype="int64") * 7919 + seed) % PRIME


def mix(factor: int, nap: float, *parts: np.ndarray) -> np.ndarray:
    """Make a value that depends on every element of what it is made from."""
    time.sleep(nap)
    total = sum(int(part.sum()) for part in parts)
    return (parts[0] * factor + total) % PRIME


def fail(text: str, *parts: Any) -> None:
    """Raise what the caller is to see."""
    raise TaskError(text)


def with_setup(value: np.ndarray) -> np.ndarray:
    """Add what the plugin has set."""
    return value + int(os.environ[VARIABLE])


def slow(block: np.ndarray, nap: float) -> np.ndarray:
    time.sleep(nap)
    return block


def edges(block: np.ndarray) -> np.ndarray:
    return block * 4 - np.roll(block, 1, axis=0) - np.roll(block, 1, axis=1)


def spell(number: int, nap: float) -> int:
    time.sleep(nap)
    return number * number + 1


def is_odd(number: int) -> bool:
    return number % 2 == 1


def last_digit(number: int) -> int:
    return number % 10


def group_sum(group: tuple[int, list[int]]) -> int:
    return (group[0] + 1) * sum(group[1]) % PRIME


def by_group(part: pd.DataFrame) -> pd.Series:
    return part.groupby("b").c.sum()
