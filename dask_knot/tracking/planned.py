"""A plan becomes records: who makes which value, and who reads it."""

from __future__ import annotations

from collections.abc import Mapping

from dask.typing import Key

from dask_knot.planning import Plan, Shard
from dask_knot.store import names
from dask_knot.store.manifest import Place
from dask_knot.store.names import ShardId, StageId
from dask_knot.tracking.actions import SubmitPlan
from dask_knot.tracking.records import Batch, KeyRecord, ShardRecord, StageRecord
from dask_knot.tracking.state import State
from dask_knot.tracking.states import KeyState

Source = Place | tuple[ShardId, int] | Exception


def record_plan(state: State, number: int, plan: Plan) -> None:
    """Take a plan in, and have it submitted."""
    assert state.planning is not None
    assert state.planning[0] == number
    _, batch = state.planning
    state.planning = None
    inputs = {key: source_of(record) for key, record in batch.reads.items()}
    for index, stage in enumerate(plan.stages):
        _record_stage(state, batch, StageId(number, index), stage.shards)
    state.actions.append(SubmitPlan(number, plan, batch.tasks, inputs))
    _end(state, batch)
    for index in range(len(plan.stages)):
        record = state.stages.get(StageId(number, index))
        for shard in record.shards if record else ():
            for output in list(shard.outputs):
                if output.shard is shard:
                    state.drop_if_unneeded(output)


def refuse_plan(state: State, error: Exception) -> None:
    """Err everything that a plan should have made."""
    assert state.planning is not None
    _, batch = state.planning
    state.planning = None
    for record in batch.wanted:
        if record.batch is batch:
            record.batch = None
            state.fail(record, error)
            state.drop_if_unneeded(record)
    _end(state, batch)


def source_of(record: KeyRecord) -> Source:
    """Tell a shard where a value is, or which shard makes it, or why there is none."""
    if record.state is KeyState.STORED and record.output is not None:
        return record.output.place
    if record.error is not None:
        return record.error
    assert record.shard is not None
    assert record.shard.id is not None
    return record.shard.id, record.ordinal


def _end(state: State, batch: Batch) -> None:
    """Let go of a batch that was planned; what it didn't need to make waits no longer."""
    for record in batch.wanted:
        if record.batch is batch:  # released while the plan was made
            record.batch = None
            state.drop_if_unneeded(record)
    state.let_go(batch.reads.values())


def _record_stage(state: State, batch: Batch, id: StageId, shards: tuple[Shard, ...]) -> None:
    stage = StageRecord(id, [], len(shards), len(shards), names.pack(state.run, id))
    state.stages[id] = stage
    state.running.add(id)
    state.open_shards += len(shards)
    for index, shard in enumerate(shards):
        made = ShardRecord(ShardId(id, index), len(shard.tasks), stage)
        stage.shards.append(made)
        for ordinal, key in enumerate(shard.outputs):
            output = _output(state, batch, key)
            output.batch, output.shard, output.ordinal = None, made, ordinal
            output.move(KeyState.PLANNED)
            made.outputs.append(output)
        made.alive = len(made.outputs)
        made.inputs = [_reader(state.keys, key) for key in shard.inputs]


def _reader(keys: Mapping[Key, KeyRecord], key: Key) -> KeyRecord:
    record = keys[key]
    record.readers += 1
    return record


def _output(state: State, batch: Batch, key: Key) -> KeyRecord:
    """Find or make the record of a value that a shard of this plan will write."""
    record = state.keys.get(key)
    if record is None:
        record = state.keys[key] = KeyRecord(key, batch.origin[key])
    elif record.state is not KeyState.WAITING:
        # Its value went while others still may ask for it; now it comes again.
        if record.state is not KeyState.GONE:
            record.move(KeyState.GONE)
            state.detach(record)
        record.output, record.error, record.is_answered = None, None, False
        record.move(KeyState.WAITING)
    return record
