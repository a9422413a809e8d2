"""Why the settings of planning are what they are: each is varied, the others as in `knot.yaml`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from statistics import geometric_mean
from typing import Any

from benchmarks.simulate.bound import bound_of
from benchmarks.simulate.engines import WORLDS, tempo_of
from benchmarks.simulate.policies import OURS, run_policy
from benchmarks.simulate.report import markdown
from benchmarks.simulate.shapes import Shape
from benchmarks.simulate.workloads import WORKLOADS
from benchmarks.simulate.world import Workload, World

#: Each asks for something else: many short tasks, few long ones, skew, depth, bytes.
WORK = (*("fig2-256", "fig4-25", "sorted", "lognormal", "two-steps", "array-mean", "tall-svd"),)
#: What is tried: for seconds, multiples of what `knot.yaml` has.
TRIED: Mapping[str, tuple[float, ...]] = {
    "job_start": (0.25, 0.5, 1, 2),
    "target": (0.25, 0.5, 1, 2),
    "shards_per_slot": (1, 2, 3, 4),
}
HEADER = (
    *("setting", "value", "/ bound, unknown", "worst", "/ bound, known", "worst"),
    *("paid / least", "jobs"),
)


@dataclass(frozen=True)
class Point:
    """One run: a setting with a value, for one workload, on so many slots."""

    engine: str
    setting: str
    value: float
    workload: str
    slots: int
    known: bool
    seed: int = 0


@dataclass(frozen=True)
class Found:
    """What came of it."""

    point: Point
    ratio: float
    paid: float
    jobs: int


def values(engine: str, setting: str) -> list[float]:
    """List the values of a setting that are tried, `knot.yaml`'s among them."""
    default = tempo_of(engine)[setting]
    if setting == "shards_per_slot":
        return sorted({*TRIED[setting], default})
    return [default * times for times in TRIED[setting]]


def points(engine: str, work: Sequence[str], seed: int) -> list[Point]:
    """List all runs of one engine."""
    return [
        Point(engine, setting, value, name, slots, known, seed)
        for name in work
        for slots in WORLDS[engine].slots
        for known in (False, True)
        for setting in TRIED
        for value in values(engine, setting)
    ]


def sweep(
    engine: str,
    work: Sequence[str] = WORK,
    seed: int = 0,
    processes: int = 1,
    told: Callable[[Found], object] = lambda found: None,
) -> list[Found]:
    """Run all of an engine, in so many processes; each result is told as it comes."""
    found = []
    asked = points(engine, work, seed)
    # What knot.yaml has is a value of every setting: it is run once.
    distinct = {_key(point): point for point in asked}
    with ProcessPoolExecutor(processes) as pool:
        for one in pool.map(run_point, distinct.values(), chunksize=4):
            found.append(one)
            told(one)
    by_key = {_key(one.point): one for one in found}
    return [
        Found(point, one.ratio, one.paid, one.jobs)
        for point in asked
        for one in [by_key[_key(point)]]
    ]


def _key(point: Point) -> tuple[Any, ...]:
    is_default = point.value == tempo_of_cached(point.engine)[point.setting]
    varied = None if is_default else (point.setting, point.value)
    return varied, point.workload, point.slots, point.known


@lru_cache
def tempo_of_cached(engine: str) -> Mapping[str, Any]:
    """Remember what `knot.yaml` has."""
    return tempo_of(engine)


def run_point(point: Point) -> Found:
    """Run one."""
    engine = WORLDS[point.engine]
    workload = _workload(point.engine, point.workload, point.slots, point.seed)
    world = World(engine.numbers, slots=point.slots, seed=point.seed)
    value = int(point.value) if point.setting == "shards_per_slot" else point.value
    overrides = {**tempo_of_cached(point.engine), point.setting: value}
    outcome = run_policy(OURS, workload, world, point.known, overrides)
    bound = bound_of(Shape(workload, world.numbers), world.slots)
    return Found(point, outcome.makespan / bound.seconds, outcome.vcpu_seconds_paid, outcome.jobs)


@lru_cache(maxsize=4)
def _workload(engine: str, name: str, slots: int, seed: int) -> Workload:
    return WORLDS[engine].take(WORKLOADS[name](slots, seed))


def defaults_table(engine: str, found: Iterable[Found]) -> str:
    """Write the table of one engine: geometric means over workloads and slots, and the worst.

    `paid / least` is over the least that any value of any setting paid for the same work.
    """
    found = [*found]
    least: dict[tuple[Any, ...], float] = {}
    for one in found:
        case = _case(one)
        least[case] = min(one.paid, least.get(case, one.paid))
    body = []
    for setting in TRIED:
        for value in values(engine, setting):
            chosen = [
                one for one in found if (one.point.setting, one.point.value) == (setting, value)
            ]
            body.append(_row(engine, setting, value, chosen, least))
    return markdown(HEADER, body)


def _case(one: Found) -> tuple[Any, ...]:
    return one.point.workload, one.point.slots, one.point.known


def _row(
    engine: str,
    setting: str,
    value: float,
    found: Sequence[Found],
    least: Mapping[tuple[Any, ...], float],
) -> list[str]:
    unknown = [one.ratio for one in found if not one.point.known]
    known = [one.ratio for one in found if one.point.known]
    shares = [one.paid / max(least[_case(one)], 1e-9) for one in found]
    star = " *" if value == tempo_of_cached(engine)[setting] else ""
    unit = "" if setting == "shards_per_slot" else " s"
    return [
        f"`{setting.replace('_', '-')}`",
        f"{value:g}{unit}{star}",
        f"{geometric_mean(unknown):.2f}",
        f"{max(unknown):.2f}",
        f"{geometric_mean(known):.2f}",
        f"{max(known):.2f}",
        f"{geometric_mean(shares):.2f}",
        f"{sum(one.jobs for one in found):,}",
    ]
