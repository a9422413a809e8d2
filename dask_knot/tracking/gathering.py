"""Tasks on their way to the planner: which are missing, and when it is time to plan them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dask.typing import Key

from dask_knot.planning import PlanRequest
from dask_knot.store.names import StageId
from dask_knot.tracking.actions import MakePlan
from dask_knot.tracking.events import Graph
from dask_knot.tracking.records import Batch, KeyRecord
from dask_knot.tracking.state import State
from dask_knot.tracking.states import KeyState


def gather(
    state: State, records: Iterable[KeyRecord], now: float, tasks_per_shard: int | None = None
) -> None:
    """Put keys, and all tasks that are missing to make them, where the planner will take them."""
    batch = _batch(state, now, tasks_per_shard)
    batch.last = state.last_arrival = now
    fresh = list(records)
    for record in fresh:
        record.batch = batch
    batch.wanted += fresh
    for record in fresh:
        assert record.graph is not None
        if record.key in batch.origin:
            continue
        if not _take_whole(state, batch, record.graph):
            _take_missing(state, batch, record.graph, record.key)


def due(state: State) -> float | None:
    """Tell when the next batch should be planned, on the clock of `now`; None if none waits."""
    if state.planning is not None or not state.batches:
        return None
    batch = state.batches[0]
    if batch.is_urgent and not state.is_busy:
        return batch.first
    longest = batch.first + state.pace.longest
    return longest if state.is_busy else min(longest, batch.last + state.pace.quiet)


def plan_if_due(state: State, now: float) -> None:
    """Ask for a plan of the first batch when it is time."""
    while (when := due(state)) is not None and when <= now:
        batch = state.batches.popleft()
        _merge_unplanned(state, batch)
        wanted = [r for r in batch.wanted if r.batch is batch and r.is_needed]
        if wanted:
            state.planning = (state.plans, batch)
            state.actions.append(MakePlan(state.plans, _request(state, batch, wanted)))
            state.plans += 1
        else:
            state.let_go(batch.reads.values())


def _batch(state: State, now: float, tasks_per_shard: int | None) -> Batch:
    for batch in state.batches:
        if batch.tasks_per_shard == tasks_per_shard:
            return batch
    urgent = now - state.last_arrival > state.pace.quiet
    batch = Batch(now, now, urgent, tasks_per_shard=tasks_per_shard)
    if tasks_per_shard is None:
        state.batches.append(batch)
    else:
        state.batches.appendleft(batch)
    return batch


def _take_whole(state: State, batch: Batch, graph: Graph) -> bool:
    """Take a graph as it is if nothing of it is known: the common case, at the speed of dicts."""
    tasks = graph.tasks
    known = tasks.keys() & state.keys.keys()
    if any(state.keys[key].batch is not batch for key in known):
        return False
    batch.tasks.update(tasks)
    batch.origin.update(dict.fromkeys(tasks, graph))
    batch.literals.update(graph.literals)
    batch.resources.update(graph.resources)
    for key in graph.external:
        _read(state, batch, key)
    return True


def _take_missing(state: State, batch: Batch, graph: Graph, key: Key) -> None:
    """Take a task, and of what it reads only the tasks whose values aren't there or coming."""
    stack = [(graph, key)]
    while stack:
        graph, key = stack.pop()
        if key in batch.origin:
            continue
        batch.tasks[key] = node = graph.tasks[key]
        batch.origin[key] = graph
        if key in graph.literals:
            batch.literals.add(key)
        if key in graph.resources:
            batch.resources[key] = graph.resources[key]
        for read in node.dependencies:
            source = _graph_to_make(state, batch, read, graph)
            if source is None:
                _read(state, batch, read)
            else:
                stack.append((source, read))


def _graph_to_make(state: State, batch: Batch, key: Key, graph: Graph) -> Graph | None:
    """Name the graph by which a key is to be made now, or None if its value is there or coming."""
    record = state.keys.get(key)
    if record is None:
        return graph if key in graph.tasks else None
    failed = record.state is KeyState.ERRED and not record.is_wanted
    if record.state is KeyState.GONE or record.batch is batch or failed:
        return record.graph if record.graph and key in record.graph.tasks else graph
    return None


def _read(state: State, batch: Batch, key: Key) -> None:
    record = state.keys.get(key)
    if record is not None and record.batch is not batch and key not in batch.reads:
        batch.reads[key] = record
        record.readers += 1


def _merge_unplanned(state: State, batch: Batch) -> None:
    """Take in the batches that make what this one reads: they would be planned too late."""
    while True:
        others = {id(r.batch): r.batch for r in batch.reads.values() if r.batch is not None}
        if not others:
            return
        for other in others.values():
            _merge(state, batch, other)


def _merge(state: State, batch: Batch, other: Batch) -> None:
    state.batches.remove(other)
    batch.tasks.update(other.tasks)
    batch.origin.update(other.origin)
    batch.literals |= other.literals
    batch.resources.update(other.resources)
    for record in other.wanted:
        if record.batch is other:
            record.batch = batch
            batch.wanted.append(record)
    for key, record in other.reads.items():
        if key in batch.reads:
            record.readers -= 1
        else:
            batch.reads[key] = record
    inside = [key for key, record in batch.reads.items() if record.batch is batch]
    for key in inside:
        batch.reads.pop(key).readers -= 1
    sizes = [b.tasks_per_shard for b in (batch, other) if b.tasks_per_shard is not None]
    batch.tasks_per_shard = min(sizes, default=None)


def _request(state: State, batch: Batch, wanted: list[KeyRecord]) -> PlanRequest:
    limits = replace(state.limits, tasks_per_shard=batch.tasks_per_shard)
    return PlanRequest(
        dependencies={key: node.dependencies for key, node in batch.tasks.items()},
        wanted=[record.key for record in wanted],
        literals=batch.literals,
        external={key: _maker(record) for key, record in batch.reads.items()},
        durations=dict(state.durations.seconds),
        resources=batch.resources,
        default=state.default,
        limits=limits,
    )


def _maker(record: KeyRecord) -> StageId | None:
    """Name the running stage that makes a value, or None when the value is there."""
    if record.state is KeyState.PLANNED and record.shard is not None and record.shard.id:
        return record.shard.id.stage
    return None
