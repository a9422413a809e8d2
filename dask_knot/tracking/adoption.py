"""Adoption: what another session, or an earlier one, makes or has made isn't planned again.

A key whose work is in the catalog becomes an output of the shard that was recorded with it. That
shard is looked at like all others: its manifest is there already, or comes, or the child is lost,
and then what it should have made is planned.
"""

from __future__ import annotations

from dataclasses import replace

from dask.typing import Key

from dask_knot.run.manifest import Kind, Output, Place
from dask_knot.run.names import ShardId
from dask_knot.tracking.actions import AdoptStage
from dask_knot.tracking.catalog import Spot
from dask_knot.tracking.drafts import Draft
from dask_knot.tracking.events import EntriesFound, Graph, KeyRecalled, StageFound
from dask_knot.tracking.moves import KeyEvent, KeyState, ShardEvent
from dask_knot.tracking.records import KeyRecord, ShardRecord
from dask_knot.tracking.stages import StageRecord
from dask_knot.tracking.state import TrackerState
from dask_knot.tracking.tally import remember, tally


def take_entries(state: TrackerState, event: EntriesFound, now: float) -> None:
    """Put in the catalog what others have recorded."""
    for entry in event.entries:
        state.catalog.add(entry)
    state.told += bool(event.entries)


def recall(state: TrackerState, event: KeyRecalled, now: float) -> None:
    """Give a client what it knows only the key of, if any session was asked for that."""
    record = state.keys.get(event.key)
    if record is None or record.state is KeyState.GONE:
        found = state.catalog.named(event.key)
        if found is None:
            return
        record = record or state.keys.setdefault(event.key, KeyRecord(event.key, None))
        if isinstance(found, Place):
            _find(state, record, found, now)
        else:
            record.recall(found.digest)
            _adopt(state, record, found)
    record.ask(event.run_id)
    state.answer(record)


def is_taken(state: TrackerState, record: KeyRecord) -> bool:
    """Take what waits from the catalog, if it is there."""
    spot = state.catalog.take(record.key, record.work)
    if spot is not None:
        _adopt(state, record, spot)
    return spot is not None


def is_found(state: TrackerState, record: KeyRecord) -> bool:
    """Tell whether what was recalled by its name can be taken, now from whoever makes it."""
    found = state.catalog.named(record.key)
    return isinstance(found, Spot) and found.digest is not None and found.digest == record.digest


def is_made_elsewhere(state: TrackerState, graph: Graph, key: Key) -> bool:
    """Take what a task reads from the catalog, if it is there and nobody here makes it."""
    spot = state.catalog.take(key, graph.digests.get(key))
    if spot is None:
        return False
    record = state.keys.get(key)
    if record is None:
        record = state.keys[key] = KeyRecord(key, graph)
    record.made_by(graph)
    record.start_over(KeyEvent.NEEDED)
    _adopt(state, record, spot)
    return True


def settle_stage(state: TrackerState, event: StageFound, now: float) -> None:
    """Note that what is planned may wait at Batch for the jobs of a stage that was adopted."""
    if event.is_waitable:
        state.unsettled.discard(event.stage)


def hold(state: TrackerState, draft: Draft, record: KeyRecord) -> None:
    """Let a draft wait until it is known whether what it reads can be waited for at Batch."""
    shard = record.shard
    if state.unsettled and shard is not None and shard.is_open and shard.id is not None:
        draft.wait_for(shard.id.stage)


def is_held(state: TrackerState, draft: Draft) -> bool:
    """Tell whether a draft reads what may be made by a job that Batch knows nothing of."""
    return bool(state.unsettled) and not draft.waits.isdisjoint(state.unsettled)


def hold_all(state: TrackerState, draft: Draft) -> bool:
    """Look anew at all that a draft reads, which may have been adopted meanwhile."""
    draft.wait_for_nobody()
    for record in draft.reads.values() if state.unsettled else ():
        hold(state, draft, record)
    return is_held(state, draft)


def _adopt(state: TrackerState, record: KeyRecord, spot: Spot) -> None:
    stage = state.stages.get(spot.shard.stage) or _adopted_stage(state, spot)
    shard = stage.shards[spot.shard.index]
    if not shard.is_open:
        if stage.id not in state.running:
            state.running.add(stage.id)
            state.unsettled.add(stage.id)
            state.actions.append(AdoptStage(stage.id, spot.shards))
        state.openings += 1
        stage.reopen(shard, ShardEvent.ADOPTED, spot.tasks, state.openings)
        state.open_shards += 1
    elif not shard.alive and shard.outputs:
        stage.need_again()
    shard.reserve(spot.outputs)
    record.adopt(shard, spot.ordinal)
    found = shard.own.parts.get(spot.ordinal)
    if found is not None and record.find(KeyEvent.VALUE_FOUND, *found):
        state.keep(shard, found.output.place.length)
        state.answer(record)


def _adopted_stage(state: TrackerState, spot: Spot) -> StageRecord:
    id = spot.shard.stage
    counted = tally(id, frozenset(), 0)
    for forgotten in remember(state.tallies, counted):
        if forgotten.id.plan >= state.since:
            state.earlier.add(forgotten)
    stage = StageRecord(id, state.names.pack(id), state.names.orders(id), counted)
    stage.give(replace(state.default, memory=spot.memory))
    for index in range(spot.shards):
        stage.add_dropped(ShardRecord(ShardId(id, index), spot.tasks))
    state.stages[id] = stage
    return stage


def _find(state: TrackerState, record: KeyRecord, place: Place, now: float) -> None:
    """Have a value that a client of another session scattered."""
    group = ShardRecord(None, 0)
    group.move(ShardEvent.SCATTERED)
    group.own.write({place.name})
    state.keep(group, place.length)
    record.scatter(group, Output(0, Kind.FINISHED, place, place.length, 0, now, now))
