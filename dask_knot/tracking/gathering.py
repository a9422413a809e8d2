"""Tasks on their way to the planner: which are missing, and when it is time to plan them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from dask.typing import Key

from dask_knot.errors import InternalError
from dask_knot.planning import PlanRequest
from dask_knot.run.names import StageId
from dask_knot.tracking.actions import Admit, MakePlan
from dask_knot.tracking.events import Graph
from dask_knot.tracking.gaps import Again, read, take_missing
from dask_knot.tracking.plans import refuse
from dask_knot.tracking.records import Batch, KeyRecord
from dask_knot.tracking.settling import settle
from dask_knot.tracking.state import State
from dask_knot.tracking.states import KeyState, ShardState


def gather(state: State, records: Sequence[KeyRecord], now: float) -> None:
    """Put keys, and all tasks that are missing to make them, where the planner will take them."""
    mixed: set[Graph] = set()
    batches = [(_join_batch(state, record, now, None), record) for record in records]
    for batch, record in batches:
        assert record.graph is not None
        if record.key in batch.origin:
            continue
        if record.graph not in mixed and _take_whole(state, batch, record.graph):
            continue
        mixed.add(record.graph)
        take_missing(state, batch, record.graph, record.key)


def gather_retried(state: State, record: KeyRecord, now: float) -> None:
    """Put a key that is made again where the planner will take it, with what failed before it."""
    batch = _join_batch(state, record, now, None)
    assert record.graph is not None
    take_missing(state, batch, record.graph, record.key, Again.ALL)


def gather_again(
    state: State, records: Sequence[KeyRecord], now: float, tasks_per_shard: int | None = None
) -> None:
    """Put keys whose shard was lost where the planner will take them; failures stay as they are."""
    batches = [(_join_batch(state, record, now, tasks_per_shard), record) for record in records]
    for batch, record in batches:
        assert record.graph is not None
        take_missing(state, batch, record.graph, record.key, Again.NONE)


def due(state: State) -> float | None:
    """Tell when the next batch should be planned, on the clock of `now`; None if none waits."""
    if state.planning is not None or not state.batches:
        return None
    batch = state.batches[0]
    if batch.is_urgent and not state.is_busy:
        return batch.first
    longest = batch.first + state.longest
    if state.is_busy or state.arrivals:
        return longest
    return min(longest, max(batch.last, state.last_arrival) + state.quiet)


def plan_if_due(state: State, now: float) -> None:
    """Ask for a plan of the first batch when it is time."""
    while (when := due(state)) is not None and when <= now:
        batch = state.batches.popleft()
        try:
            _plan(state, batch)
        except Exception as error:  # a mistake of ours: nobody would ever plan it
            state.actions.append(Admit(error))
            refuse(state, batch, InternalError.of(error))


def _plan(state: State, batch: Batch) -> None:
    settle(state, batch)
    wanted = [r for r in batch.wanted if r.batch is batch and r.is_needed]
    if not wanted:
        state.let_go(batch.reads.values())
        return
    state.actions.append(MakePlan(state.plans, _request(state, batch, wanted)))
    state.planning = (state.plans, batch)
    state.plans += 1


def _join_batch(state: State, record: KeyRecord, now: float, tasks_per_shard: int | None) -> Batch:
    assert record.graph is not None
    if not state.arrivals:
        state.note_arrival(now)
    batch = _batch(state, now, tasks_per_shard, record.graph.priority)
    batch.last = now
    record.batch = batch
    batch.wanted.append(record)
    return batch


def _batch(state: State, now: float, tasks_per_shard: int | None, priority: float) -> Batch:
    place = 0
    for number, batch in enumerate(state.batches, start=1):
        if batch.tasks_per_shard == tasks_per_shard and batch.priority == priority:
            return batch
        # What has waited its time isn't overtaken: a stream of others would keep it for ever.
        is_overdue = batch.first + state.longest < now
        if batch.tasks_per_shard is not None or batch.priority >= priority or is_overdue:
            place = number
    urgent = state.is_stream_new
    batch = Batch(now, now, urgent, tasks_per_shard=tasks_per_shard, priority=priority)
    state.batches.insert(0 if tasks_per_shard is not None else place, batch)
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
        read(state, batch, key)
    return True


def _request(state: State, batch: Batch, wanted: list[KeyRecord]) -> PlanRequest:
    limits = replace(state.limits, tasks_per_shard=batch.tasks_per_shard)
    return PlanRequest(
        dependencies={key: batch.tasks[key].dependencies for key in _first(batch, batch.tasks)},
        wanted=[*_first(batch, [record.key for record in wanted])],
        literals=batch.literals,
        external={key: _maker(record) for key, record in batch.reads.items()},
        durations=dict(state.durations.seconds),
        resources=batch.resources,
        default=state.default,
        limits=limits,
    )


def _first(batch: Batch, keys: Iterable[Key]) -> Iterable[Key]:
    """Put keys of a high priority first: in this order the planner, and so a shard, takes them."""
    origin = batch.origin
    if not any(graph.priorities for graph in {*origin.values()}):
        return keys
    return sorted(keys, key=lambda key: -origin[key].priorities.get(key, 0))


def _maker(record: KeyRecord) -> StageId | None:
    """Name the running stage that makes a value, or None when the value is there.

    A failure, too, can be read only when the shard's last manifest is written.
    """
    shard = record.shard
    if record.state is KeyState.STORED or record.error is not None:
        return None
    return shard.id.stage if shard and shard.id and shard.state is ShardState.OPEN else None
