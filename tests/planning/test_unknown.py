"""The plans of tasks of which nothing is known: wide, neighbors apart, nothing folded."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_knot.planning import Cost, Limits, Plan, PlanRequest, make_plan
from dask_knot.planning.folding import fold
from dask_knot.planning.graph import build_graph
from dask_knot.planning.partition import partition
from dask_knot.planning.sizing import widest

from .graphs import Dependencies, check_plan, tree, widths
from .test_properties import requests

#: The numbers of AWS, a thousand times faster.
FAST = Limits(16, shards_per_slot=2, target_seconds=0.24, job_start_seconds=0.06)
AWS = Limits(256, shards_per_slot=2, target_seconds=240, job_start_seconds=60)


def alike(count: int, *reads: str, name: str = "work") -> Dependencies:
    """Return tasks of one prefix that read the same."""
    return {f"{name}-{n}": reads for n in range(count)}


def planned(
    tasks: Dependencies, limits: Limits = FAST, costs: dict[str, Cost] | None = None
) -> Plan:
    """Plan tasks for those that nothing reads, and check the plan."""
    read = {key for reads in tasks.values() for key in reads}
    wanted = [key for key in tasks if key not in read]
    asked = PlanRequest(tasks, wanted, limits, costs=costs or {})
    plan = make_plan(asked)
    check_plan(asked, plan)
    return plan


TWO_STEPS: Dependencies = {"first": (), **alike(40, "first")}


@pytest.mark.parametrize(
    ("tasks", "costs", "expected"),
    [
        (alike(4), {}, [4]),
        (alike(25), {}, [25]),
        (alike(25), {"work": Cost(3.6)}, [25]),
        (alike(200), {}, [32]),
        (TWO_STEPS, {}, [1, 32]),
        (TWO_STEPS, {"first": Cost(0.001)}, [1, 32]),
        (TWO_STEPS, {"first": Cost(0.001), "work": Cost(1.0)}, [1, 32]),
    ],
    ids=["4", "25", "25 known", "200", "two steps", "short first", "both known"],
)
def test_cases_planned_in_ignorance(
    tasks: Dependencies, costs: dict[str, Cost], expected: list[int]
) -> None:
    assert widths(planned(tasks, FAST, costs)) == expected


@pytest.mark.parametrize("slots", [16, 256])
def test_25_subjects_of_an_hour_have_a_job_each(slots: int) -> None:
    limits = replace(AWS, slots=slots)
    assert widths(planned(alike(25), limits)) == [25]
    assert widths(planned(alike(25), limits, {"work": Cost(3600)})) == [25]


def test_sorted_tasks_are_dealt_evenly() -> None:
    (stage,) = planned(alike(200)).stages
    long = [sum(int(str(key)[5:]) < 20 for key in shard.tasks) for shard in stage.shards]
    assert max(long) == 1


def test_the_second_step_has_40_jobs_if_slots_allow() -> None:
    assert widths(planned(TWO_STEPS, AWS)) == [1, 40]


def test_few_branches_stay_with_what_they_branch_from() -> None:
    branches = {f"{name}-{n}": [f"a-{n}"] for n in range(3) for name in "bc"}
    joined = {f"d-{n}": [f"b-{n}", f"c-{n}"] for n in range(3)}
    assert widths(planned({**alike(3, name="a"), **branches, **joined})) == [3]


def test_one_unknown_sum_opens_no_shards() -> None:
    tasks = alike(10_000)
    assert widths(planned({**tasks, "sum": [*tasks]}, AWS, {"work": Cost(1e-5)})) == [1]


def test_known_tasks_before_unknown_ones_go_as_wide() -> None:
    loads = alike(100, name="load")
    fits: Dependencies = {f"fit-{n}": [f"load-{n}"] for n in range(100)}
    assert widths(planned({**loads, **fits}, AWS, {"load": Cost(0.01)})) == [100]


def test_unknown_tasks_stay_away_from_heavy_ones() -> None:
    tasks = {**alike(8, name="heavy"), **alike(4, name="new"), **alike(100, name="tiny")}
    plan = planned(tasks, replace(FAST, slots=6), {"heavy": Cost(1.0), "tiny": Cost(0.001)})
    assert widths(plan) == [12]
    for shard in plan.stages[0].shards:
        assert shard.prefixes.get("heavy", 0) + shard.prefixes.get("new", 0) == 1


@pytest.mark.parametrize(
    ("leaves", "every", "expected"),
    [(4, 4, [4, 1]), (40, 4, [40, 1]), (512, 4, [512, 16, 1]), (512, 2, [512, 32, 1])],
)
def test_a_tree_of_joins_is_few_stages(leaves: int, every: int, expected: list[int]) -> None:
    tasks, _ = tree(leaves, every)
    plan = planned(tasks, AWS)
    assert widths(plan) == expected
    for stage in plan.stages[1:]:
        assert max(len(shard.tasks) for shard in stage.shards) < 32


def test_fits_of_some_files_each_stay_apart() -> None:
    tasks: Dependencies = {**alike(60, name="load")}
    # Rings: each file is read twice, so that they are one part of the graph, cut into ranges.
    tasks |= {f"fit-{n}": [f"load-{n}", f"load-{(n + 7) % 60}"] for n in range(60)}
    tasks["table"] = [f"fit-{n}" for n in range(60)]
    last = planned(tasks, AWS).stages[-2]
    assert all(shard.prefixes.get("fit", 0) <= 1 for shard in last.shards)


def test_a_chain_behind_a_tree_is_one_shard() -> None:
    tasks, last = tree(40, 4)
    tasks |= {"root": [last], "scaled": ["root"]}
    assert widths(planned(tasks, AWS)) == [40, 1]


def test_what_the_user_said_of_a_task_goes_first() -> None:
    tasks = alike(200)
    said = {"work-0": 100.0}
    asked = PlanRequest(tasks, [*tasks], FAST, costs={"work": Cost(1.0)}, seconds=said)
    plan = make_plan(asked)
    check_plan(asked, plan)
    assert [shard.tasks for shard in plan.stages[0].shards if "work-0" in shard.tasks] == [
        ("work-0",)
    ]
    assert not any("nothing is known" in reason for reason in plan.reasons)


def test_reasons_say_what_is_known_and_what_is_not() -> None:
    tasks = {**TWO_STEPS, **{f"{name}-1": [] for name in ("abc", "def", "ghi")}}
    assert planned(tasks, AWS, {"first": Cost(2.0, 1.0), "abc": Cost(1.0)}).reasons[:4] == (
        "44 tasks for 256 slots: levels of 2, 40 shards",
        "2 tasks of known length: 3.00 s of work, 1.50 s give or take 707.11 ms each",
        "nothing is known about 40 tasks of 'work': a job each, up to 512",
        "nothing is known about 1 task of 'def'",
    )
    many = {f"{name}-1": () for name in ("ab", "cd", "ef", "gh", "ij")}
    assert planned(many).reasons[-1] == "nor about 2 tasks of other prefixes"


@pytest.mark.parametrize(("seconds", "deviation"), [(-1.0, 0.0), (float("nan"), 0.0), (1.0, -1.0)])
def test_costs_are_amounts(seconds: float, deviation: float) -> None:
    with pytest.raises(ValueError, match="seconds"):
        Cost(seconds, deviation)


LIMITS = st.builds(
    Limits,
    slots=st.integers(1, 5),
    shards_per_slot=st.integers(1, 9),
    target_seconds=st.sampled_from((0.1, 180.0)),
    job_start_seconds=st.sampled_from((0.0, 0.05, 30.0)),
)


def jobs(count: int, limits: Limits) -> int:
    """Give the jobs of so many unknown tasks: one each if they are few, be it two for each slot."""
    return count if count <= 2 * limits.slots else min(count, widest(limits))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), LIMITS)
def test_each_unknown_task_has_a_job_if_there_are_enough(count: int, limits: Limits) -> None:
    assert widths(planned(alike(count), limits)) == [jobs(count, limits)]


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 60), LIMITS, st.sampled_from(({}, {"first": Cost(0.0)})))
def test_what_follows_one_task_goes_as_wide(
    count: int, limits: Limits, costs: dict[str, Cost]
) -> None:
    plan = planned({"first": (), **alike(count, "first")}, limits, costs)
    width = jobs(count, limits)
    # On one slot nothing runs side by side, and a stage would be a job start for nothing.
    assert widths(plan) == (
        [1] if limits.slots == 1 or width * 1.001 >= count + 1 < 4 else [1, width]
    )


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from((None, 0.0, 0.01, 1.0, 50.0)), min_size=2, max_size=60),
    LIMITS.filter(lambda limits: widest(limits) > 1),
)
def test_unknown_neighbors_share_no_shard(seconds: list[float | None], limits: Limits) -> None:
    costs = {
        f"{'abcde'[n % 5]}{n}": Cost(cost) for n, cost in enumerate(seconds) if cost is not None
    }
    tasks: Dependencies = {
        (f"{'abcde'[n % 5]}{n}" if cost is not None else "new", n): ()
        for n, cost in enumerate(seconds)
    }
    plan = planned(tasks, limits, costs)
    place = {
        task: number for number, shard in enumerate(plan.stages[0].shards) for task in shard.tasks
    }
    new = [place[task] for task in tasks if task[0] == "new"]
    assert all(one != other for one, other in pairwise(new))


@settings(max_examples=100, deadline=None)
@given(requests())
def test_folding_takes_no_unknown_task_another_ones_shard(request: PlanRequest) -> None:
    graph = build_graph(request)
    cut = partition(graph, request.limits)
    folded, _ = fold(graph, cut, request.limits)
    for level in cut.levels:
        shards = [shard for block in level for shard in block.shards if cut.unknown[shard]]
        first = {shard: cut.shard_of.index(shard) for shard in shards}
        assert len({folded.shard_of[task] for task in first.values()}) == len(shards)
