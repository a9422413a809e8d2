"""Seconds and peak memory of the planner: ``python benchmarks/planner.py [tasks ...]``."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Collection

from dask.typing import Key

from dask_knot.collector import paused_collector
from dask_knot.planning import Limits, PlanRequest, make_plan

Dependencies = dict[Key, Collection[Key]]
SIZES = (10_000, 100_000, 1_000_000)


def plain_map(tasks: int) -> tuple[Dependencies, list[Key]]:
    """Return independent tasks, all wanted."""
    dependencies: Dependencies = {f"inc-{number:032x}": () for number in range(tasks)}
    return dependencies, [*dependencies]


def tree_reduction(tasks: int) -> tuple[Dependencies, list[Key]]:
    """Return chunks made and mapped (two tasks each), then summed four at a time."""
    chunks = int(tasks / (2 + 1 / 3))
    dependencies: Dependencies = {("ones", number): () for number in range(chunks)}
    dependencies |= {("add", number): {("ones", number)} for number in range(chunks)}
    level: list[Key] = [("add", number) for number in range(chunks)]
    depth = 0
    while len(level) > 1:
        depth += 1
        groups = [level[first : first + 4] for first in range(0, len(level), 4)]
        level = [(f"sum-{depth}", number) for number in range(len(groups))]
        dependencies |= dict(zip(level, map(set, groups), strict=True))
    return dependencies, level


def stencil(tasks: int) -> tuple[Dependencies, list[Key]]:
    """Return steps of a 2-D stencil: every cell reads itself and its four neighbors."""
    steps = 10
    side = max(2, int((tasks / steps) ** 0.5))
    dependencies: Dependencies = {}
    for step in range(steps):
        for row in range(side):
            for column in range(side):
                cross = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
                dependencies[(f"step-{step}", row, column)] = {
                    (f"step-{step - 1}", row + down, column + right)
                    for down, right in cross
                    if step and 0 <= row + down < side and 0 <= column + right < side
                }
    last: list[Key] = [
        (f"step-{steps - 1}", row, column) for row in range(side) for column in range(side)
    ]
    return dependencies, last


GRAPHS: tuple[Callable[[int], tuple[Dependencies, list[Key]]], ...] = (
    plain_map,
    tree_reduction,
    stencil,
)


def measure(make_graph: Callable[[int], tuple[Dependencies, list[Key]]], tasks: int) -> None:
    """Plan one graph and print a line about it."""
    dependencies, wanted = make_graph(tasks)
    started = time.perf_counter()
    with paused_collector():  # as the driver does
        plan = make_plan(PlanRequest(dependencies, wanted, Limits(slots=4)))
    seconds = time.perf_counter() - started
    shards = [len(stage.shards) for stage in plan.stages]
    print(
        f"{make_graph.__name__:16}{len(dependencies):>10,}{seconds:>9.2f} s"
        f"{_peak():>8,.0f} MB   shards {shards}",
        flush=True,
    )


def _peak() -> float:
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kibibytes / (1024**2 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Measure every graph in every size, each in a process of its own: peaks only rise."""
    sizes = [int(size.replace("_", "")) for size in sys.argv[1:]] or SIZES
    context = multiprocessing.get_context("spawn")
    for tasks in sizes:
        for make_graph in GRAPHS:
            process = context.Process(target=measure, args=(make_graph, tasks))
            process.start()
            process.join()


if __name__ == "__main__":
    main()
