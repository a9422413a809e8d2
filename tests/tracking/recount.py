"""Counts from scratch what the tracker counts as it goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from dask_knot.tracking.drafts import Draft
from dask_knot.tracking.moves import KeyState, ShardState
from dask_knot.tracking.records import KeyRecord, ShardRecord
from dask_knot.tracking.state import TrackerState


def check(state: TrackerState) -> None:
    """Assert that all counters are right and that every record is where it belongs."""
    _check_stages(state)
    drafts = list(state.drafts) + ([state.planning[1]] if state.planning else [])
    _check_readers(state, drafts)
    for key, record in state.keys.items():
        assert record.key == key
        assert record.is_known or record.is_needed, f"{key} is kept for nobody"
        if record.asked is not None:
            assert record.state in (KeyState.WAITING, KeyState.PLANNED), f"{key} isn't answered"
        if record.state is KeyState.WAITING:
            own = [draft for draft in drafts if draft is record.draft]
            assert own, f"{key} waits for nothing"
            assert any(record is other for other in own[0].wanted)
            assert key in own[0].tasks
    records = _records(state, drafts)
    shards = {id(s): s for s in [*_shards(state), *(r.shard for r in records)] if s is not None}
    assert state.stored == sum(shard.own.stored for shard in shards.values())
    for record in records:
        _check_record(record)


def needed_objects(state: TrackerState) -> set[str]:
    """Name the objects that hold values that are needed."""
    drafts = list(state.drafts) + ([state.planning[1]] if state.planning else [])
    return {
        record.output.place.name
        for record in _records(state, drafts)
        if record.is_needed and record.output is not None
    }


def _shards(state: TrackerState) -> Iterator[ShardRecord]:
    for stage in state.stages.values():
        yield from stage.shards


def _records(state: TrackerState, drafts: list[Draft]) -> list[KeyRecord]:
    found = {id(record): record for record in state.keys.values()}
    for shard in _shards(state):
        found |= {id(r): r for r in shard.outputs if r.shard is shard}
        found |= {id(r): r for r in shard.inputs}
    for draft in drafts:
        found |= {id(r): r for r in draft.reads.values()}
    return list(found.values())


def _check_stages(state: TrackerState) -> None:
    running = set()
    open_shards = 0
    for id, stage in state.stages.items():
        left = sum(shard.state is ShardState.OPEN for shard in stage.shards)
        assert stage.open == left
        needed = [s for s in stage.shards if s.state is ShardState.OPEN and is_needed(s)]
        assert stage.needed == len(needed)
        assert needed or not left, "a stage runs for nobody"
        assert stage.kept == sum(not shard.own.are_gone for shard in stage.shards) > 0
        open_shards += left
        if left:
            running.add(id)
        assert stage.tally is state.tallies.get(id, stage.tally)
        assert stage.tally.shards == Counter(shard.state for shard in stage.shards)
        unseen = sum((Counter(shard.rest.left) for shard in stage.shards), Counter())
        assert +stage.tally.total == stage.tally.done + stage.tally.erred + unseen
    assert state.running == running
    assert state.open_shards == open_shards
    for shard in _shards(state):
        assert shard.alive == sum(record.shard is shard for record in shard.outputs)
        assert shard.state is ShardState.OPEN or not shard.inputs
        assert shard.state is ShardState.OPEN or shard.alive or shard.own.are_gone


def is_needed(shard: ShardRecord) -> bool:
    """Whether a shard makes something that is needed; a joining one makes nothing, ever."""
    return shard.alive > 0 or not shard.outputs


def _check_readers(state: TrackerState, drafts: list[Draft]) -> None:
    counts = Counter(id(record) for shard in _shards(state) for record in shard.inputs)
    counts.update(id(record) for draft in drafts for record in draft.reads.values())
    for record in _records(state, drafts):
        assert record.readers == counts[id(record)], f"readers of {record.key}"


def _check_record(record: KeyRecord) -> None:
    shard = record.shard
    if record.state is KeyState.PLANNED:
        assert shard is not None
        assert shard.state is ShardState.OPEN
        assert record.is_needed
    elif record.state is KeyState.STORED:
        assert shard is not None
        assert shard.own.names is not None
        assert record.output is not None
        assert record.output.place.name in shard.own.names
        assert record.is_needed
    elif record.state is KeyState.ERRED:
        assert record.error is not None or record.output is not None
    else:
        assert shard is None
