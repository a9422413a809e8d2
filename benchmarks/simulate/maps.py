"""Maps and graphs of our own, and the laws by which the seconds of their tasks are drawn."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable
from math import exp, log, log1p, sqrt

from dask._task_spec import DataNode, Task, TaskRef
from dask.typing import Key

from benchmarks.simulate.world import Workload
from dask_knot.tracking.events import Graph, Node

Seconds = Callable[[random.Random], float]


def about(seconds: float, spread: float = 0.1) -> Seconds:
    """Draw lognormal seconds with a mean, and a standard deviation that is a share of it."""
    width = sqrt(log1p(spread**2))
    return lambda drawn: drawn.lognormvariate(log(seconds) - width**2 / 2, width)


def lognormal(median: float, sigma: float) -> Seconds:
    """Draw seconds of which a few are very long."""
    return lambda drawn: median * exp(drawn.gauss(0.0, sigma))


def pareto(least: float, alpha: float, most: float) -> Seconds:
    """Draw seconds with the heaviest of tails, cut off at the most that a task takes."""
    return lambda drawn: min(most, least * drawn.paretovariate(alpha))


def plain_map(
    name: str, prefix: str, seconds: Iterable[float], nbytes: int = 100, argument_bytes: int = 0
) -> Workload:
    """Make independent tasks of one function, all wanted.

    Parameters
    ----------
    argument_bytes : int
        Of the argument of each task; what is small is a part of the task.
    """
    times: dict[Key, float] = {f"{prefix}-{n:08x}": each for n, each in enumerate(seconds)}
    sizes = dict.fromkeys(times, nbytes)
    if not argument_bytes:
        alone = {key: Task(key, do_nothing) for key in times}
        return Workload(name, Graph(alone, [*times]), times, sizes)
    tasks: dict[Key, Node] = {}
    for key in times:
        argument = f"argument-of-{key}"
        tasks |= {argument: DataNode(argument, 0), key: reader(key, [argument])}
        sizes[argument] = argument_bytes
    literals = tasks.keys() - times.keys()
    return Workload(name, Graph(tasks, [*times], literals), times, sizes)


def drawn_map(
    name: str, prefix: str, law: Seconds, count: int, seed: int, nbytes: int = 1_000
) -> Workload:
    """Make a map of so many tasks whose seconds are drawn one by one."""
    drawn = random.Random(f"{name}/{seed}")
    return plain_map(name, prefix, [law(drawn) for _ in range(count)], nbytes)


def reader(key: Key, inputs: Collection[Key]) -> Task:
    """Make a task that reads some values."""
    return Task(key, do_nothing, *(TaskRef(one) for one in inputs))


def do_nothing(*values: object) -> None:
    """Stand for a function: the simulation knows how long it takes."""
