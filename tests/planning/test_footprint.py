"""Shards that hold more than their jobs may have are told of, as far as sizes are known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dask.typing import Key

from dask_knot.planning import Cost, Limits, PlanRequest, Resources, make_plan

from .graphs import Dependencies

ONE = Limits(1, job_start_seconds=100.0, bandwidth=1e9)
CHAIN: Dependencies = {"load-0": (), "step-0": ["load-0"], "sum-0": ["step-0"]}
JOIN: Dependencies = {
    **{f"load-{n}": () for n in range(4)},
    "join-0": [f"load-{n}" for n in range(4)],
}
KEPT: Dependencies = {
    "load-0": (),
    "step-0": ["load-0"],
    "step-1": ["step-0"],
    "join-0": ["load-0", "step-1"],
}
OUTSIDE: Dependencies = {"join-0": ["far-0", "far-1"]}


def warnings(
    tasks: Dependencies, memory: int | None, external: dict[Key, None], **more: object
) -> tuple[str, ...]:
    sizes = {"load": 100.0, "step": 100.0, "sum": 1.0, "join": 50.0, "far": 200.0}
    request = PlanRequest(
        tasks,
        [list(tasks)[-1]],
        ONE,
        external=external,
        costs={prefix: Cost(0.01) for prefix in sizes},
        nbytes=sizes,
        default=Resources(memory=memory),
    )
    plan = make_plan(replace(request, **more))  # type: ignore[arg-type]
    assert plan.reasons[len(plan.reasons) - len(plan.warnings) :] == plan.warnings
    return plan.warnings


@pytest.mark.parametrize(
    ("tasks", "needed"),
    [
        (CHAIN, 200),  # what has been read is given back
        (JOIN, 450),  # all that is joined, and what becomes of it
        (KEPT, 300),  # one stays until its last reader has run
        (OUTSIDE, 450),
    ],
    ids=["chain", "join", "kept", "outside"],
)
def test_what_does_not_fit_is_told_before_it_runs(tasks: Dependencies, needed: int) -> None:
    external: dict[Key, None] = {"far-0": None, "far-1": None} if tasks is OUTSIDE else {}
    assert warnings(tasks, needed, external) == ()
    (line,) = warnings(tasks, needed - 1, external)
    assert f"1 job of stage 0.0 will hold about {needed} B of values" in line
    assert f"a limit of {needed - 1} B" in line
    assert "memory=" in line


def test_nothing_is_said_where_nothing_is_known() -> None:
    assert warnings(JOIN, None, {}) == ()
    assert warnings(JOIN, 10, {}, nbytes={}) == ()
    assert warnings(JOIN, 10, {}, costs={}) == ()


def test_the_size_of_a_value_that_is_there_goes_first() -> None:
    external: dict[Key, None] = {"far-0": None, "far-1": None}
    known = {"far-0": 1000.0}
    (line,) = warnings(OUTSIDE, 1249, external, external_nbytes=known)
    assert "1.22 kiB" in line
    assert warnings(OUTSIDE, 1250, external, external_nbytes=known) == ()


def test_what_is_mapped_takes_no_memory() -> None:
    mapped = replace(ONE, is_mapped=True)
    external: dict[Key, None] = {"far-0": None, "far-1": None}
    assert warnings(OUTSIDE, 50, external, limits=mapped) == ()
    assert warnings(CHAIN, 199, {}, limits=mapped) != ()  # that job has made them itself
    assert warnings(JOIN, 449, {}, limits=mapped) == ()  # others have made them
    apart = replace(mapped, tasks_per_shard=1)
    assert warnings(JOIN, 449, {}, limits=replace(apart, is_mapped=False)) != ()
    assert warnings(JOIN, 100, {}, limits=apart) == ()
