"""Where a choice is, shards are cut where few bytes cross, and jobs are never fewer for it."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

import pytest
from dask.typing import Key
from dask.utils import key_split
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_knot.planning import Cost, Limits, Plan, PlanRequest, make_plan
from dask_knot.planning.graph import NumberedGraph, build_graph
from dask_knot.planning.partition import Partition, partition
from dask_knot.planning.seams import cut_row, run_in_turn

from .graphs import Dependencies, check_plan, tree, widths

MB = 1e6
LOCAL = Limits(2, 2, 0.5, 0.02, bandwidth=1e9)
WIDE = Limits(8, 2, 0.5, 0.02, bandwidth=1e9)


def planned(tasks: Dependencies, sizes: dict[str, float], **more: object) -> tuple[Plan, float]:
    """Plan tasks of 0.1 s a value of 100 MB, and count the megabytes that shards read of others."""
    read = {key for keys in tasks.values() for key in keys}
    costs = {prefix: Cost(max(0.01, size / 1e9)) for prefix, size in sizes.items()}
    asked = PlanRequest(
        tasks,
        [key for key in tasks if key not in read],
        **{"limits": LOCAL, "costs": costs, "nbytes": sizes, **more},  # type: ignore[arg-type]
    )
    plan = make_plan(asked)
    check_plan(asked, plan)
    shards = (shard for stage in plan.stages for shard in stage.shards)
    return plan, sum(sizes[key_split(key)] for shard in shards for key in shard.inputs) / MB


def groups(sizes: list[int]) -> Dependencies:
    """Return joins of so many values each, all collected by one task."""
    tasks: Dependencies = {}
    for number, size in enumerate(sizes):
        parts: list[Key] = [(f"load-{number}", part) for part in range(size)]
        tasks |= dict.fromkeys(parts, ())
        tasks["join", number] = parts
    tasks["all-0"] = [("join", number) for number in range(len(sizes))]
    return tasks


SIZES = {"load": 100 * MB, "join": MB, "all": MB}


@pytest.mark.parametrize(
    ("sizes", "limits"),
    [([6] * 5, LOCAL), ([4] * 7, LOCAL), ([2, 4, 6, 3, 5, 2, 4, 6], WIDE)],
    ids=["even", "few", "uneven"],
)
def test_groups_are_not_torn_apart(sizes: list[int], limits: Limits) -> None:
    plan, moved = planned(groups(sizes), SIZES, limits=limits)
    assert moved < 4.2 * max(sizes) * 100 / 2  # a group or so at most; else one at each cut
    assert len(plan.stages) == 2
    assert widths(plan)[0] >= limits.slots


def test_a_tree_is_cut_between_its_branches() -> None:
    tasks, _ = tree(50, 8)
    _, moved = planned(tasks, {"leaf": 50 * MB, "sum": 50 * MB})
    assert moved <= 350  # the joins of the first level: what is read anyway


def test_a_pipeline_is_cut_behind_what_makes_values_small() -> None:
    tasks: Dependencies = {}
    for n in range(50):
        tasks |= {("load", n): (), ("filter", n): [("load", n)]}
    tasks["all-0"] = [("filter", n) for n in range(50)]
    _, moved = planned(tasks, {"load": 100 * MB, "filter": MB, "all": 50 * MB})
    assert moved == 50


def test_what_expands_and_shrinks_again_stays_in_one_job() -> None:
    tasks: Dependencies = {}
    for n in range(32):
        tasks |= {("src", n): (), ("expand", n): [("src", n)], ("shrink", n): [("expand", n)]}
    tasks["all-0"] = [("shrink", n) for n in range(32)]
    sizes = {"src": MB, "expand": 100 * MB, "shrink": MB, "all": MB}
    assert planned(tasks, sizes)[1] == 32


def test_readers_of_one_large_value_are_neighbors() -> None:
    tasks: Dependencies = {("seed", n): () for n in range(2)}
    tasks |= {(f"use-{n}", k): [("seed", n)] for n in range(2) for k in range(16)}
    sizes = {"seed": 1000 * MB, "use": 200 * MB}
    plan, moved = planned(tasks, sizes, limits=WIDE)
    assert widths(plan) == [2, 16]
    assert moved == 16_000  # each job reads one of them; dealt in turn, each would read both


def test_a_value_is_not_read_by_all_for_less_than_reading_takes() -> None:
    tasks: Dependencies = {("seed", n): () for n in range(3)}
    tasks |= {(f"use-{n}", k): [("seed", n)] for n in range(3) for k in range(9)}
    costs = {"seed": Cost(0.1), "use": Cost(0.08)}  # 0.72 s behind each, 1 s to read it
    plan, moved = planned(tasks, {"seed": 1000 * MB, "use": 8}, costs=costs, limits=WIDE)
    assert (widths(plan), moved) == ([3], 0)


def test_without_sizes_or_durations_nothing_is_shifted() -> None:
    even = planned(groups([6] * 5), SIZES, nbytes={})[0]
    assert widths(even)[0] == 4
    assert [len(shard.tasks) for shard in even.stages[0].shards] == [8, 8, 7, 9]
    assert (
        planned(groups([6] * 5), SIZES, costs={})[0]
        == planned(groups([6] * 5), SIZES, costs={}, nbytes={})[0]
    )


WEIGHTS = st.lists(st.floats(0.01, 10), min_size=2, max_size=60)


@settings(max_examples=200, deadline=None)
@given(WEIGHTS, st.data(), st.integers(2, 9), st.integers(1, 8))
def test_other_cuts_read_less_in_no_fewer_ranges(
    weights: list[float], data: st.DataObject, ranges: int, slots: int
) -> None:
    seams = data.draw(
        st.lists(st.floats(0, 5), min_size=len(weights), max_size=len(weights)), label="seams"
    )
    even, cut = cut_row(weights, ranges), cut_row(weights, ranges, seams, slots)
    assert cut == sorted(cut)
    assert max(cut) < ranges
    assert len({*cut}) >= len({*even})
    if cut == even:
        return

    def costs(numbers: list[int]) -> list[float]:
        return [seams[n] for n in range(1, len(numbers)) if numbers[n] != numbers[n - 1]]

    def seconds(numbers: list[int]) -> float:
        dealt = groupby(zip(numbers, weights, strict=True), key=lambda pair: pair[0])
        loads = [sum(weight for _, weight in pairs) for _, pairs in dealt]
        reading = costs(numbers)
        return run_in_turn(loads, slots) + max(max(reading), sum(reading) / slots)

    assert sum(costs(cut)) < sum(costs(even))
    assert seconds(cut) <= 1.021 * seconds(even)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 8), min_size=2, max_size=20),
    st.sampled_from((LOCAL, WIDE)),
    st.sampled_from((MB, 50 * MB)),
)
def test_known_sizes_tear_no_more_values_apart(
    sizes: list[int], limits: Limits, joined: float
) -> None:
    asked = PlanRequest(
        groups(sizes),
        ["all-0"],
        limits,
        costs={"load": Cost(0.1), "join": Cost(0.01), "all": Cost(0.01)},
        nbytes={**SIZES, "join": joined},
    )
    graph = build_graph(asked)
    known = partition(graph, limits)
    even = partition(replace(graph, reading=[None] * len(graph)), limits)
    assert torn(graph, known) <= torn(graph, even)
    assert known.levels[0][0].shards == even.levels[0][0].shards


def torn(graph: NumberedGraph, cut: Partition) -> int:
    """Count the values of the first level that joins read of other shards."""
    return sum(
        cut.shard_of[made] != cut.shard_of[task]
        for task, upstream in enumerate(graph.inputs)
        if graph.keys[task] != "all-0"
        for made in upstream
    )
