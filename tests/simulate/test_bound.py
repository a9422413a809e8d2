"""The bound is the larger of the longest chain with one job start and the work of all slots."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest
from dask.typing import Key
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.simulate.bound import bound_of, cold_start, longest_chain, packed
from benchmarks.simulate.maps import plain_map, reader
from benchmarks.simulate.numbers import Numbers
from benchmarks.simulate.shapes import Shape
from benchmarks.simulate.world import Workload
from dask_knot.tracking.events import Graph

NUMBERS = Numbers()
COLD = cold_start(NUMBERS)


def graph(inputs: Mapping[Key, Collection[Key]], seconds: Mapping[Key, float]) -> Shape:
    tasks = {key: reader(key, read) for key, read in inputs.items()}
    wanted = [*inputs][-1:]
    sizes = dict.fromkeys(seconds, 1)
    return Shape(Workload("graph", Graph(tasks, wanted), seconds, sizes), NUMBERS)


def of_map(seconds: list[float]) -> Shape:
    return Shape(plain_map("map", "map", seconds), NUMBERS)


def test_of_few_long_tasks_the_chain_counts() -> None:
    bound = bound_of(of_map([100.0, 50.0]), slots=16)
    assert (bound.chain, bound.share, bound.seconds) == (100.0 + COLD, 150 / 16, 100.0 + COLD)


def test_of_many_tasks_the_work_counts() -> None:
    bound = bound_of(of_map([10.0] * 1_000), slots=10)
    assert (bound.chain, bound.share, bound.seconds) == (10.0 + COLD, 1_000.0, 1_000.0)


def test_a_job_starts_cold_on_an_instance_that_has_to_boot() -> None:
    assert NUMBERS.boot_shortest < COLD < NUMBERS.boot_longest + 60


def test_what_a_laptop_sends_can_take_longer_than_a_boot() -> None:
    given = plain_map("map", "map", [10.0] * 2_000, argument_bytes=1_000_000)
    bound = bound_of(Shape(given, NUMBERS), slots=256)
    assert bound.seconds == 10.0 + COLD
    assert bound.reachable == pytest.approx(10 + 2e9 / NUMBERS.client_up, rel=0.01)


def test_a_diamond_has_its_longer_side() -> None:
    inputs = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}
    assert longest_chain(graph(inputs, {"a": 1.0, "b": 5.0, "c": 2.0, "d": 3.0})) == 9.0


@pytest.mark.parametrize(
    ("seconds", "slots", "least"),
    [
        ([1.0] * 25, 16, 2.0),
        ([4.0, 3.0, 3.0], 2, 6.0),
        ([9.0, 1.0, 1.0], 2, 9.0),
        ([1.0] * 32, 16, 2.0),
        ([], 4, 0.0),
    ],
)
def test_tasks_can_not_be_divided(seconds: list[float], slots: int, least: float) -> None:
    assert packed(seconds, slots) == least


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=40), st.integers(1, 9))
def test_no_greedy_schedule_is_below_the_packing_bound(seconds: list[float], slots: int) -> None:
    loads = [0.0] * slots
    for each in sorted(seconds, reverse=True):
        loads[loads.index(min(loads))] += each
    assert packed(seconds, slots) <= max(loads) * (1 + 1e-9)
    assert packed(seconds, slots) >= sum(seconds) / slots * (1 - 1e-9)
