"""What doesn't fit a job is cut smaller before it runs, where that helps; else it is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dask.typing import Key
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_knot.planning import Cost, Limits, Plan, PlanRequest, Resources, make_plan

from .graphs import Dependencies, check_plan, widths

ONE = Limits(1, 1, 240, 30, bandwidth=1e8)
SIZES = {"x": 100.0, "part": 1.0, "mean": 1.0, "y": 1.0, "src": 100.0, "split": 10.0, "join": 100.0}


def planned(tasks: Dependencies, memory: int | None, limits: Limits = ONE) -> Plan:
    read = {key for keys in tasks.values() for key in keys}
    asked = PlanRequest(
        tasks,
        [key for key in tasks if key not in read],
        limits,
        costs={prefix: Cost(0.01) for prefix in SIZES},
        nbytes=SIZES,
        default=Resources(memory=memory),
    )
    plan = make_plan(asked)
    check_plan(asked, plan)
    return plan


def deviation(count: int) -> Dependencies:
    """Return the graph of ``x - x.mean()``."""
    tasks: Dependencies = {}
    for n in range(count):
        tasks |= {("x", n): (), ("part", n): [("x", n)]}
    tasks["mean-0"] = [("part", n) for n in range(count)]
    return tasks | {("y", n): [("x", n), "mean-0"] for n in range(count)}


def all_to_all(count: int) -> Dependencies:
    """Return the graph of a rechunk in one pass."""
    numbers = range(count)
    tasks: Dependencies = {("src", i): () for i in numbers}
    tasks |= {("split", i, j): [("src", i)] for i in numbers for j in numbers}
    return tasks | {("join", j): [("split", i, j) for i in numbers] for j in numbers}


@pytest.mark.parametrize(
    ("tasks", "all_at_once", "needed"),
    [(deviation(30), 3000, 200), (all_to_all(10), 1100, 300)],
    ids=["deviation", "all-to-all"],
)
def test_what_fits_no_job_is_cut_smaller(
    tasks: Dependencies, all_at_once: int, needed: int
) -> None:
    whole = planned(tasks, all_at_once + 200)
    assert (widths(whole), whole.warnings) == ([1], ())
    smaller = planned(tasks, needed)
    assert len(smaller.stages) > 1
    assert smaller.warnings == ()
    assert any("too little memory" in reason for reason in smaller.reasons)


def test_levels_that_fit_one_job_are_still_folded() -> None:
    plan = planned(deviation(30), 200)
    assert len(plan.stages) == 2
    assert any("too little memory" in reason or "folded" in reason for reason in plan.reasons)


def test_a_task_that_fits_no_job_is_told_and_cuts_nothing() -> None:
    parts: list[Key] = [("x", n) for n in range(8)]
    tasks: Dependencies = {**dict.fromkeys(parts, ()), "join-0": parts}
    plan = planned(tasks, 500)
    assert widths(plan) == [1]
    (line,) = plan.warnings
    assert "900 B" in line


def test_without_a_bound_nothing_is_cut_for_it() -> None:
    assert widths(planned(deviation(30), None)) == [1]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from((deviation, all_to_all)),
    st.integers(2, 12),
    st.integers(1, 4),
    st.integers(300, 2000),
)
def test_what_can_fit_does(make: object, count: int, slots: int, memory: int) -> None:
    """No task of these has more than 300 bytes at once, with what it reads."""
    limits = Limits(slots, 1, 240, 30, bandwidth=1e8)
    tasks = make(count)  # type: ignore[operator]
    assert planned(tasks, memory, limits).warnings == ()


@pytest.mark.parametrize("count", [8, 16, 40])
@pytest.mark.parametrize("slots", [2, 8])
def test_an_all_to_all_of_unknown_length_is_cut_no_more_finely(count: int, slots: int) -> None:
    """The first run has as few stages as the second, and no more jobs than slots can balance."""
    limits = Limits(slots, 2, 0.5, 0.02)
    tasks = all_to_all(count)
    asked = PlanRequest(tasks, [("join", n) for n in range(count)], limits)
    costs = {"src": Cost(0.05), "split": Cost(0.002), "join": Cost(0.05)}
    sizes = {"src": 6.4e7, "split": 6.4e7 / count, "join": 6.4e7}
    # All that is known at first is what Dask assumes: of `rechunk-split` and `split-shuffle`.
    first = widths(make_plan(replace(asked, costs={"split": Cost(1e-6)})))
    second = widths(make_plan(replace(asked, costs=costs, nbytes=sizes)))
    assert len(first) == len(second) == 2
    assert max(first) <= min(count, 2 * slots)
