"""A plan becomes records: who makes which value, and who reads it."""

from __future__ import annotations

from dask.typing import Key

from dask_knot.errors import MissingObjectError
from dask_knot.planning import Plan, Shard
from dask_knot.run import names
from dask_knot.run.manifest import Place
from dask_knot.run.names import ShardId, StageId
from dask_knot.tracking.actions import SubmitPlan
from dask_knot.tracking.records import Batch, KeyRecord, ShardRecord, StageRecord
from dask_knot.tracking.settling import is_stale
from dask_knot.tracking.state import State
from dask_knot.tracking.states import KeyState, ShardState
from dask_knot.tracking.tally import Tally, remember, tally

Source = Place | tuple[ShardId, int] | Exception


def record_plan(state: State, number: int, plan: Plan) -> None:
    """Take a plan in, and have it submitted; or plan again if what it reads was lost meanwhile."""
    batch = _planned(state, number)
    if batch is None:
        return
    if is_stale(state, batch):
        batch.first = float("-inf")
        state.batches.appendleft(batch)
        return
    inputs = {key: source_of(record) for key, record in batch.reads.items()}
    after = _running_plans(batch)
    for index, stage in enumerate(plan.stages):
        counted = tally(StageId(number, index), after, len(stage.shards))
        for forgotten in remember(state.tallies, counted):
            if forgotten.id.plan >= state.since:
                state.earlier.add(forgotten)
        _record_stage(state, batch, counted, stage.shards)
    state.actions.append(SubmitPlan(number, plan, batch.tasks, inputs))
    state.let_go(batch.reads.values())
    for index in range(len(plan.stages)):
        record = state.stages.get(StageId(number, index))
        for shard in record.shards if record else ():
            for output in shard.outputs:
                if output.shard is shard:
                    state.drop_if_unneeded(output)


def refuse_plan(state: State, number: int, error: Exception) -> None:
    """Err everything that a plan should have made."""
    batch = _planned(state, number)
    if batch is not None:
        refuse(state, batch, error)


def refuse(state: State, batch: Batch, error: Exception) -> None:
    """Err everything that waits in a batch."""
    for record in batch.wanted:
        if record.batch is batch:
            record.batch = None
            state.fail(record, error)
            state.drop_if_unneeded(record)
    state.let_go(batch.reads.values())


def _planned(state: State, number: int) -> Batch | None:
    """Give the batch of a plan, unless it was given up meanwhile."""
    if state.planning is None or state.planning[0] != number:
        return None
    _, batch = state.planning
    state.planning = None
    return batch


def source_of(record: KeyRecord) -> Source:
    """Tell a shard where a value is, or which shard makes it, or why there is none."""
    if record.state is KeyState.STORED and record.output is not None:
        return record.output.place
    if record.error is not None:
        return record.error
    if record.state is KeyState.GONE:
        return MissingObjectError(f"the value of {record.key!r} is gone, and nothing makes it")
    assert record.shard is not None
    assert record.shard.id is not None
    return record.shard.id, record.ordinal


def _running_plans(batch: Batch) -> frozenset[int]:
    """Name the earlier plans that still make what a batch reads."""
    shards = [record.shard for record in batch.reads.values()]
    running = [s.id for s in shards if s and s.id and s.state is ShardState.OPEN]
    return frozenset([id.stage.plan for id in running])


def _record_stage(state: State, batch: Batch, counted: Tally, shards: tuple[Shard, ...]) -> None:
    id = counted.id
    size = len(shards)
    pack, unneeded = names.pack(state.run, id), names.unneeded(state.run, id)
    stage = StageRecord(id, [], pack, unneeded, counted, size, size, size)
    state.stages[id] = stage
    state.running.add(id)
    state.open_shards += len(shards)
    for index, shard in enumerate(shards):
        made = ShardRecord(ShardId(id, index), len(shard.tasks), stage, left=dict(shard.prefixes))
        counted.total.update(made.left)
        stage.shards.append(made)
        for ordinal, key in enumerate(shard.outputs):
            output = _output(state, batch, key)
            output.batch, output.shard, output.ordinal = None, made, ordinal
            output.move(KeyState.PLANNED)
            made.outputs.append(output)
        made.alive = len(made.outputs)
        made.inputs = [_reader(state, batch, key) for key in shard.inputs]


def _reader(state: State, batch: Batch, key: Key) -> KeyRecord:
    record = batch.reads.get(key) or state.keys[key]
    record.readers += 1
    return record


def _output(state: State, batch: Batch, key: Key) -> KeyRecord:
    """Find or make the record of a value that a shard of this plan will write."""
    record = state.keys.get(key)
    if record is None:
        record = state.keys[key] = KeyRecord(key, batch.origin[key])
    elif record.state is KeyState.GONE:
        # Its value went while others still may ask for it; now it comes again.
        record.made_by(batch.origin[key])
        record.start_over()
    elif record.state is not KeyState.WAITING:
        old, record = record, KeyRecord(key, record.graph, attempts=record.attempts)
        record.is_answered = old.is_answered
        state.replace(old, record)
        record.made_by(batch.origin[key])
    return record
