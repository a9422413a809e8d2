"""Requests that several tests plan, and what must hold for every plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

import pytest
from dask.typing import Key
from dask.utils import key_split

from dask_knot.planning import DependencyType, EarlierStage, Limits, Plan, PlanRequest, Shard

Dependencies = dict[Key, Collection[Key]]


def request(dependencies: Dependencies, wanted: Iterable[Key], **limits: object) -> PlanRequest:
    """Return a request with 2 slots, unless told otherwise."""
    return PlanRequest(dependencies, [*wanted], Limits(**{"slots": 2, **limits}))  # type: ignore[arg-type]


def chain(length: int) -> Dependencies:
    """Return tasks of which each reads the one before."""
    return {("link", n): [("link", n - 1)] if n else [] for n in range(length)}


def tree(leaves: int, every: int = 2) -> tuple[Dependencies, Key]:
    """Return a tree reduction and its last key."""
    level: list[Key] = [("leaf", n) for n in range(leaves)]
    dependencies: Dependencies = dict.fromkeys(level, ())
    depth = 0
    while len(level) > 1:
        depth += 1
        groups = [level[n : n + every] for n in range(0, len(level), every)]
        level = [("sum", depth, n) for n in range(len(groups))]
        dependencies.update(zip(level, groups, strict=True))
    return dependencies, level[0]


def widths(plan: Plan) -> list[int]:
    """Count the shards of every stage."""
    return [len(stage.shards) for stage in plan.stages]


def check_plan(request: PlanRequest, plan: Plan) -> None:
    """Assert all that a plan promises."""
    _check_tasks(request, plan)
    _check_values(request, plan)
    _check_waiting(request, plan)
    _check_limits(request, plan)


def needed_tasks(request: PlanRequest) -> set[Key]:
    """Find the tasks that the wanted keys need, themselves included."""
    needed: set[Key] = set()
    left = [*request.wanted]
    while left:
        key = left.pop()
        if key not in needed and key in request.dependencies and key not in request.literals:
            needed.add(key)
            left += request.dependencies[key]
    return needed


def _check_tasks(request: PlanRequest, plan: Plan) -> None:
    seen = Counter(t for stage in plan.stages for shard in stage.shards for t in shard.tasks)
    assert seen == Counter(needed_tasks(request))
    for stage in plan.stages:
        for shard in stage.shards:
            known = {*shard.inputs, *shard.literals}
            for task in shard.tasks:
                assert {*request.dependencies[task]} <= known
                known.add(task)
            assert sum(shard.prefixes.values()) == len(shard.tasks)
            _check_known(request, shard)
            own = {request.resources.get(task, request.default) for task in shard.tasks}
            assert own <= {stage.resources}


def _check_known(request: PlanRequest, shard: Shard) -> None:
    unknown, seconds = 0, 0.0
    for task in shard.tasks:
        cost = request.costs.get(key_split(task))
        if task in request.seconds:
            seconds += request.seconds[task]
        elif cost is not None:
            seconds += cost.seconds
        else:
            unknown += 1
    assert shard.unknown == unknown
    assert shard.weight == pytest.approx(seconds, abs=1e-4)


def _check_values(request: PlanRequest, plan: Plan) -> None:
    made: set[Key] = set()
    read: set[Key] = set()
    for stage in plan.stages:
        for shard in stage.shards:
            used = {key for task in shard.tasks for key in request.dependencies[task]}
            outside = {*request.external} - {*request.dependencies}
            assert {*shard.literals} == used & {*request.literals}
            assert {*shard.inputs} == used - {*request.literals} - {*shard.tasks}
            assert {*shard.inputs} <= made | outside
            assert len({*shard.inputs}) == len(shard.inputs)
            read |= {*shard.inputs}
        made |= {key for shard in stage.shards for key in shard.outputs}
    for stage in plan.stages:
        for shard in stage.shards:
            outputs = {t for t in shard.tasks if t in read or t in request.wanted}
            assert {*shard.outputs} == outputs
            assert len(shard.outputs) == len(outputs)
    _check_order(plan)


def _check_order(plan: Plan) -> None:
    """What one shard alone reads of another lies together there, in the order of reading."""
    shards = [shard for stage in plan.stages for shard in stage.shards]
    readers: dict[Key, list[int]] = {}
    for number, shard in enumerate(shards):
        for key in shard.inputs:
            readers.setdefault(key, []).append(number)
    for shard in shards:
        read = [key for key in shard.outputs if key in readers]
        assert [*shard.outputs[: len(read)]] == read  # what is only wanted comes last
        assert [readers[key] for key in read] == sorted(readers[key] for key in read)
        for number in {readers[key][0] for key in read}:
            alone = [key for key in read if readers[key] == [number]]
            assert alone == [key for key in shards[number].inputs if key in {*alone}]


def _check_waiting(request: PlanRequest, plan: Plan) -> None:
    """Replay Batch: find for each child which children and running stages are done before it."""
    place = {
        task: (number, index)
        for number, stage in enumerate(plan.stages)
        for index, shard in enumerate(stage.shards)
        for task in shard.tasks
    }
    before: list[list[set[object]]] = []
    for stage in plan.stages:
        children: list[set[object]] = []
        for index, shard in enumerate(stage.shards):
            done: set[object] = set()
            for found in stage.depends_on:
                if isinstance(found.upstream, EarlierStage):
                    done.add(found.upstream.id)
                    continue
                upstream = before[found.upstream]
                if found.type is DependencyType.N_TO_N:
                    assert len(upstream) == len(stage.shards) > 1
                pairs = [index] if found.type is DependencyType.N_TO_N else range(len(upstream))
                for child in pairs:
                    done |= upstream[child] | {(found.upstream, child)}
            children.append(done)
            for key in shard.inputs:
                source = place[key] if key in place else request.external[key]
                assert source is None or source in done
        before.append(children)


def _check_limits(request: PlanRequest, plan: Plan) -> None:
    limits = request.limits
    for number, stage in enumerate(plan.stages):
        assert 1 <= len(stage.shards) <= limits.array_size
        assert len(stage.depends_on) <= limits.upstream_arrays
        assert len({found.upstream for found in stage.depends_on}) == len(stage.depends_on)
        for found in stage.depends_on:
            assert isinstance(found.upstream, EarlierStage) or found.upstream < number
        if not all(shard.tasks for shard in stage.shards):
            assert len(stage.shards) == 1
        if limits.tasks_per_shard is not None:
            assert all(len(shard.tasks) <= limits.tasks_per_shard for shard in stage.shards)
