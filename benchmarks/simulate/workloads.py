"""All workloads by name: the Cloudknot paper's, maps of every shape, and graphs as Dask makes them.

A workload is made for some number of slots, because an hour of 16 slots is a second of 4,096; the
paper's have the paper's sizes. Durations are drawn: the same seed gives the same workload.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial

from dask._task_spec import Task
from dask.typing import Key

from benchmarks.simulate import arrays
from benchmarks.simulate.maps import (
    Seconds,
    about,
    do_nothing,
    drawn_map,
    lognormal,
    pareto,
    plain_map,
    reader,
)
from benchmarks.simulate.world import Workload
from dask_knot.tracking.events import Graph

Maker = Callable[[int, int], Workload]

#: Figure 2: the heat equation for so many borders of a 10 x 10 grid.
BORDERS = (4, 16, 64, 256, 1024, 4096)
#: Figure 3: five borders of grids of growing sides.
SIDES = (10, 25, 50, 100, 125, 150, 175)
#: Figure 4: subjects whose brains are analyzed.
SUBJECTS = (1, 4, 8, 12, 25)
MOST_TASKS = 30_000


def heat_map(borders: int, slots: int, seed: int) -> Workload:
    """Figure 2's tasks: two of them took PyWren 2.3 s on AWS Lambda, invocation included."""
    return drawn_map(f"fig2-{borders}", "heat", about(2.0, 0.2), borders, seed)


def heat_sides(side: int, slots: int, seed: int) -> Workload:
    """Figure 3's five tasks: about 42 s on 100 x 100, and with the fourth power of the side.

    That is Cloudknot's published time less its 30 s for small grids: 42, 100, 193 and 370 s for
    sides of 100, 125, 150 and 175; the law gives 42, 103, 213 and 394 s.
    """
    seconds = max(2.0, 42.0 * (side / 100) ** 4)
    return drawn_map(f"fig3-{side}", "heat", about(seconds, 0.05), 5, seed)


def subjects(
    count: int, slots: int, seed: int, seconds: float = 3600.0, name: str = "fig4"
) -> Workload:
    """Figure 4's tasks: a subject is about an hour of work, and no two take equally long."""
    return drawn_map(f"{name}-{count}", "subject", about(seconds, 0.15), count, seed, 50_000_000)


def sorted_map(slots: int, seed: int) -> Workload:
    """200 tasks or more in order of their length; the last tenth takes thirty times as long."""
    count = min(MOST_TASKS, max(200, 12 * slots))
    drawn = random.Random(seed)
    short, long = about(20.0), about(600.0)
    seconds = [(short if n < 0.9 * count else long)(drawn) for n in range(count)]
    return plain_map("sorted", "grow", sorted(seconds))


def heavy_map(name: str, law: Seconds, slots: int, seed: int) -> Workload:
    """400 tasks, or 10 for each slot, of which a few are far longer than all others."""
    return drawn_map(name, "tail", law, min(MOST_TASKS, max(400, 10 * slots)), seed)


def two_steps(slots: int, seed: int) -> Workload:
    """40 to 400 tasks of a millisecond, each followed by one of 1,000 seconds."""
    count = min(400, max(40, slots * 5 // 2))
    drawn = random.Random(seed)
    slow = about(1000.0, 0.05)
    tasks: dict[Key, Task] = {}
    seconds: dict[Key, float] = {}
    for n in range(count):
        tasks[("look", n)] = Task(("look", n), do_nothing)
        tasks[("fit", n)] = reader(("fit", n), [("look", n)])
        seconds |= {("look", n): 0.001, ("fit", n): slow(drawn)}
    wanted: list[Key] = [("fit", n) for n in range(count)]
    return Workload("two-steps", Graph(tasks, wanted), seconds, dict.fromkeys(tasks, 1_000))


def large_arguments(slots: int, seed: int) -> Workload:
    """Tasks of 30 s, each with an array of 1 MB as its argument: what they are given weighs."""
    law = about(30.0)
    drawn = random.Random(seed)
    count = min(MOST_TASKS, max(200, 4 * slots))
    seconds = [law(drawn) for _ in range(count)]
    return plain_map("arguments", "filter", seconds, 1_000_000, argument_bytes=1_000_000)


def tiny_tasks(slots: int, seed: int, count: int = 1_000_000) -> Workload:
    """A million tasks of a millisecond."""
    return plain_map("tiny", "tiny", [0.001] * count, nbytes=30)


def _makers() -> dict[str, Maker]:
    return {
        **{f"fig2-{n}": partial(heat_map, n) for n in BORDERS},
        **{f"fig3-{n}": partial(heat_sides, n) for n in SIDES},
        **{f"fig4-{n}": partial(subjects, n) for n in SUBJECTS},
        "sorted": sorted_map,
        "lognormal": partial(heavy_map, "lognormal", lognormal(20.0, 1.5)),
        "pareto": partial(heavy_map, "pareto", pareto(10.0, 1.5, 3600.0)),
        "two-steps": two_steps,
        "arguments": large_arguments,
        "array-mean": arrays.array_mean,
        "climatology": arrays.climatology,
        "rechunk": arrays.rechunk,
        "tall-svd": arrays.tall_svd,
        "tiny": tiny_tasks,
    }


WORKLOADS: Mapping[str, Maker] = _makers()
