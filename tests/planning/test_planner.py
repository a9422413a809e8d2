"""The plans of graphs that everybody knows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dask.typing import Key

from dask_knot.errors import PlanningError, UnknownInputError
from dask_knot.planning import (
    Cost,
    Dependency,
    DependencyType,
    EarlierStage,
    Limits,
    Plan,
    PlanRequest,
    Resources,
    make_plan,
)

from .graphs import Dependencies, chain, check_plan, request, tree, widths


def test_nothing_wanted() -> None:
    assert make_plan(request(chain(3), [])) == Plan(())


def test_chain_is_one_shard() -> None:
    plan = make_plan(request(chain(50), [("link", 49)]))
    assert widths(plan) == [1]
    assert plan.stages[0].shards[0].tasks == tuple(chain(50))
    assert plan.stages[0].shards[0].outputs == (("link", 49),)


def test_only_what_is_needed_is_planned() -> None:
    plan = make_plan(request(chain(50), [("link", 9)]))
    assert len(plan.stages[0].shards[0].tasks) == 10


def test_map_is_one_stage() -> None:
    tasks: Dependencies = {f"inc-{n}": () for n in range(10_000)}
    plan = make_plan(request(tasks, tasks))
    assert len(plan.stages) == 1
    assert 2 <= len(plan.stages[0].shards) <= 16
    assert {len(shard.tasks) for shard in plan.stages[0].shards} == {1250}


def test_few_unknown_tasks_are_one_shard_each() -> None:
    tasks: Dependencies = {f"inc-{n}": () for n in range(6)}
    assert widths(make_plan(request(tasks, tasks))) == [6]


def test_short_tasks_are_one_shard() -> None:
    tasks: Dependencies = {f"inc-{n}": () for n in range(100)}
    short = PlanRequest(tasks, [*tasks], Limits(2), costs={"inc": Cost(0.0002)})
    assert widths(make_plan(short)) == [1]


def test_slow_neighbors_are_spread() -> None:
    tasks: Dependencies = {f"work-{n}": () for n in range(400)}
    plan = make_plan(request(tasks, tasks))
    seconds = [
        sum(int(str(key).split("-")[1]) for key in shard.tasks) for shard in plan.stages[0].shards
    ]
    assert max(seconds) < 1.05 * min(seconds)


def test_slow_neighbors_are_spread_before_a_sum_too() -> None:
    tasks: Dependencies = {f"work-{n}": () for n in range(400)}
    plan = make_plan(request({**tasks, "total": [*tasks]}, ["total"]))
    assert [n % 8 for n in range(400)] == [
        next(i for i, shard in enumerate(plan.stages[0].shards) if key in shard.tasks)
        for key in tasks
    ]


def test_tree_reduction_is_two_stages() -> None:
    tasks, last = tree(4096)
    known = {"leaf": Cost(0.5), "sum": Cost(0.5)}
    sizes = {"leaf": 8.0, "sum": 8.0}
    plan = make_plan(replace(request(tasks, [last], slots=4), costs=known, nbytes=sizes))
    assert widths(plan) == [16, 1]
    assert len(plan.stages[1].shards[0].inputs) <= 32
    assert plan.stages[1].depends_on == (Dependency(0),)
    assert any("folded into one shard" in reason for reason in plan.reasons)


def test_reasons_count_one_as_one() -> None:
    assert make_plan(request({"a": ()}, ["a"], slots=1)).reasons == (
        "1 task for 1 slot: level of 1 shard",
        "nothing is known about 1 task of 'a'",
    )


def test_nothing_is_folded_where_tasks_are_isolated() -> None:
    tasks, last = tree(8)
    plan = make_plan(request(tasks, [last], tasks_per_shard=1))
    assert widths(plan) == [8, 4, 2, 1]
    assert any("nothing folded" in reason for reason in plan.reasons)


def test_long_late_levels_are_kept() -> None:
    tasks, last = tree(8)
    slow = PlanRequest(tasks, [last], Limits(4), costs={"leaf": Cost(100), "sum": Cost(100)})
    assert len(make_plan(slow).stages) > 2


def test_what_follows_a_mean_runs_side_by_side() -> None:
    chunks = [("x", n) for n in range(64)]
    tasks: Dependencies = dict.fromkeys(chunks, ())
    tasks["mean"] = chunks
    tasks.update({("sub", n): [("x", n), "mean"] for n in range(64)})
    plan = make_plan(request(tasks, [("sub", n) for n in range(64)]))
    assert widths(plan) == [8, 1, 8]


def test_what_follows_one_load_runs_side_by_side() -> None:
    tasks: Dependencies = {"load": (), **{f"use-{n}": ["load"] for n in range(100)}}
    plan = make_plan(request(tasks, [f"use-{n}" for n in range(100)]))
    assert widths(plan) == [1, 8]


def two_classes(columns: int) -> PlanRequest:
    cpu: Dependencies = {("load", n): () for n in range(columns)}
    gpu: Dependencies = {("fit", n): [("load", n)] for n in range(columns)}
    return PlanRequest(
        {**cpu, **gpu}, [*gpu], Limits(2), resources=dict.fromkeys(gpu, Resources(gpus=1))
    )


@pytest.mark.parametrize("columns", [2, 8, 100])
def test_columns_of_two_classes_are_paired(columns: int) -> None:
    plan = make_plan(two_classes(columns))
    assert widths(plan) == [min(columns, 8)] * 2
    assert [stage.resources.gpus for stage in plan.stages] == [0, 1]
    assert plan.stages[1].depends_on == (Dependency(0, DependencyType.N_TO_N),)


def test_one_shard_each_is_not_paired() -> None:
    assert make_plan(two_classes(1)).stages[1].depends_on == (Dependency(0),)


def test_many_shards_are_split() -> None:
    tasks: Dependencies = {f"inc-{n}": () for n in range(10_001)}
    plan = make_plan(request(tasks, tasks, tasks_per_shard=1))
    assert len(plan.stages) == 2
    assert sum(widths(plan)) == 10_001
    assert max(widths(plan)) <= 10_000


def test_25_upstream_arrays_get_a_joining_stage() -> None:
    tasks: Dependencies = {("inc", n): () for n in range(100)}
    sums: Dependencies = {("sum", n): [*tasks] for n in range(8)}
    asked = request({**tasks, **sums}, sums, tasks_per_shard=1, array_size=4)
    plan = make_plan(asked)
    check_plan(asked, plan)
    joining = [stage for stage in plan.stages if not stage.shards[0].tasks]
    assert len(joining) == 1  # both halves of the sums share it
    assert widths(plan) == [4] * 25 + [1, 4, 4]


def test_running_stages_are_waited_for_once() -> None:
    tasks: Dependencies = {f"use-{n}": [f"old-{n % 4}"] for n in range(100)}
    external = {"old-0": "job-1", "old-1": "job-1", "old-2": None, "old-3": "job-2"}
    asked = PlanRequest(tasks, [*tasks], Limits(2), external=external)
    plan = make_plan(asked)
    check_plan(asked, plan)
    waits = [{found.upstream for found in stage.depends_on} for stage in plan.stages]
    # Those that read what is there don't wait for the others.
    assert waits == [{EarlierStage("job-1"), EarlierStage("job-2")}, set()]


def test_literals_are_copied_into_their_readers() -> None:
    tasks: Dependencies = {"size": (), **{f"use-{n}": ["size"] for n in range(8)}}
    asked = PlanRequest(tasks, [f"use-{n}" for n in range(8)], Limits(2), literals={"size"})
    plan = make_plan(asked)
    assert [shard.literals for shard in plan.stages[0].shards] == [("size",)] * 8
    assert [shard.inputs for shard in plan.stages[0].shards] == [()] * 8


@pytest.mark.parametrize(
    ("tasks", "wanted"),
    [({"a": ["missing"]}, "a"), ({"a": ()}, "missing")],
    ids=["read", "wanted"],
)
def test_unknown_keys_are_named(tasks: Dependencies, wanted: str) -> None:
    with pytest.raises(UnknownInputError, match="'missing'"):
        make_plan(request(tasks, [wanted]))


def test_a_literal_can_not_be_wanted() -> None:
    with pytest.raises(UnknownInputError, match="'size'"):
        make_plan(PlanRequest({"size": ()}, ["size"], Limits(2), literals={"size"}))


def test_a_circle_is_an_error() -> None:
    with pytest.raises(PlanningError, match="depends on itself"):
        make_plan(request({"a": ["b"], "b": ["c"], "c": ["b"]}, ["a"]))


@pytest.mark.parametrize(
    ("name", "value"),
    [("slots", 0), ("tasks_per_shard", 0), ("upstream_arrays", 1), ("target_seconds", 0)],
)
def test_impossible_limits_are_named(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=name):
        Limits(**{"slots": 2, name: value})


def test_what_waits_for_values_that_are_being_made_keeps_nothing_else_waiting() -> None:
    dependencies: dict[Key, list[Key]] = {"a": [], "b": ["late"], "sum": ["a", "late"]}
    request = PlanRequest(
        dependencies, ["a", "b", "sum"], Limits(slots=1), external={"late": "elsewhere"}
    )
    plan = make_plan(request)
    waits = {
        key: any(isinstance(found.upstream, EarlierStage) for found in stage.depends_on)
        for stage in plan.stages
        for shard in stage.shards
        for key in shard.tasks
    }
    assert waits == {"a": False, "b": True, "sum": True}


def test_what_has_to_wait_is_few_stages() -> None:
    # Each step reads the one before it, and what another plan still makes.
    tasks: dict[Key, list[Key]] = {f"a-{n}": [] for n in range(4)}
    tasks |= {f"b-{n}": [f"a-{n % 4}", f"late-{n}"] for n in range(8)}
    tasks |= {f"c-{n}": [f"b-{n}", f"b-{n + 1}"] for n in range(7)}
    tasks |= {f"d-{n}": [f"c-{n}", f"c-{n + 1}"] for n in range(6)}
    request = PlanRequest(
        tasks,
        ["d-0", "d-3", "d-5"],
        Limits(4, job_start_seconds=60),
        external={f"late-{n}": "elsewhere" for n in range(8)},
        costs={name: Cost(0.1) for name in "abcd"},
        nbytes={name: 8.0 for name in ("a", "b", "c", "d", "late")},
    )
    plan = make_plan(request)
    check_plan(request, plan)
    assert widths(plan) == [1]
    # Somebody waits for one of the first.
    plan = make_plan(replace(request, wanted=[*request.wanted, "a-0"]))
    assert widths(plan) == [4, 1]
    # Nobody knows how long they take.
    plan = make_plan(replace(request, costs={name: Cost(0.1) for name in "bcd"}))
    assert widths(plan) == [4, 1]


def test_what_reads_values_that_are_there_waits_for_nothing() -> None:
    dependencies: dict[Key, list[Key]] = {"a": [], "sum": ["a", "there"]}
    plan = make_plan(PlanRequest(dependencies, ["sum"], Limits(slots=1), external={"there": None}))
    assert [shard.tasks for stage in plan.stages for shard in stage.shards] == [("a", "sum")]
