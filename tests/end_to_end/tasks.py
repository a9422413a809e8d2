"""Tasks for end-to-end tests: importable in jobs, as a user's own module is."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np


def inc(x: int) -> int:
    """Add one."""
    return x + 1


def fail(x: object) -> None:
    """Print, then raise."""
    print("before the failure")
    raise ValueError(f"cannot use {x}")


def exit_at(x: int, at: int) -> int:
    """End the interpreter for one of the inputs."""
    if x == at:
        os._exit(3)
    return x


def kill_at(x: int, at: int) -> int:
    """Be killed for one of the inputs."""
    if x == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def fill_memory_at(x: int, at: int) -> int:
    """Take memory without end for one of the inputs."""
    held = []
    while x == at:
        held.append(b"x" * 2**24)
    return x


def wait_for(path: str, seconds: float = 60) -> str:
    """Wait until a file is there."""
    deadline = time.monotonic() + seconds
    while not Path(path).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(path)
        time.sleep(0.01)
    return path


def touch(path: str, *after: object) -> str:
    """Make a file."""
    Path(path).touch()
    return path


def count_call(folder: str, x: int) -> int:
    """Leave a trace of having run."""
    with open(Path(folder) / str(x), "a") as file:
        file.write("x")
    return x


def total(numbers: Any, more: float = 0) -> float:
    """Add up an array."""
    return float(sum(numbers) if isinstance(numbers, list) else np.sum(numbers)) + more


def total_keyword(more: float, big: Any = ()) -> float:
    """Add up an array that has a name."""
    return total(big, more)


def total_inside(argument: Any) -> float:
    """Add up an array deep inside an argument."""
    return total(*argument["deep"])


def append(path: str, what: object) -> object:
    """Write a word to a file."""
    with open(path, "a") as file:
        file.write(f"{what} ")
    return what


def flaky(folder: str, name: int, good_at: int = 3) -> int:
    """Work only when called for the third time."""
    count_call(folder, name)
    if len((Path(folder) / str(name)).read_text()) < good_at:
        raise OSError("not yet")
    return name


class Model:
    """Holds an array, as what was fitted does."""

    def __init__(self, weights: Any) -> None:
        self.weights = weights

    def predict(self, x: int) -> float:
        """Use it."""
        return total(self.weights, x)


def halve_slowly(number: int) -> float:
    """Halve a number; from forty on that takes its time."""
    if number >= 40:
        time.sleep(0.2)
    return number / 2
