"""Stages that haven't started are taken back: what they were to make is planned anew.

What they read moves from their shards to the draft, so nothing of it is let go in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from dask_knot.errors import MissingObjectError
from dask_knot.run.names import StageId
from dask_knot.tracking import gathering
from dask_knot.tracking.actions import TerminateStage
from dask_knot.tracking.adoption import is_found
from dask_knot.tracking.moves import KeyEvent, KeyState, ShardEvent
from dask_knot.tracking.records import KeyRecord, ShardRecord
from dask_knot.tracking.stages import StageRecord
from dask_knot.tracking.state import TrackerState


def can_be_planned(shard: ShardRecord) -> bool:
    """Tell whether all that a shard still has to make can be planned again."""
    return all(
        record.graph is not None and not record.is_left
        for record in shard.outputs
        if record.shard is shard and record.state is KeyState.PLANNED
    )


def readers(state: TrackerState, records: Iterable[KeyRecord]) -> set[StageId]:
    """Name the stages that are to read some values which aren't there yet."""
    chosen = {id(record) for record in records if record.readers}
    return {id for id in state.running if chosen and _reads(state.stages[id], chosen)}


def _reads(stage: StageRecord, chosen: Set[int]) -> bool:
    inputs = (record for shard in stage.shards if shard.is_open for record in shard.inputs)
    return any(id(record) in chosen for record in inputs)


def with_followers(state: TrackerState, first: Set[StageId]) -> list[StageId]:
    """Name some stages and all that wait for them, in the order of their plans."""
    found = set(first)
    for id in sorted(state.running):
        if not found.isdisjoint(state.stages[id].waits):
            found.add(id)
    return sorted(found)


def withdraw(state: TrackerState, stages: Sequence[StageId], now: float) -> None:
    """Plan anew what some stages and all that follow them were to make."""
    taken = take_back(state, stages)
    gathering.gather_again(state, taken, now)
    close(state, stages, taken)


def take_back(state: TrackerState, stages: Sequence[StageId]) -> list[KeyRecord]:
    """Have all keys of some stages wait again; they are to be gathered next, then `close` those."""
    shards = [shard for id in stages for shard in state.stages[id].shards if shard.is_open]
    for shard in shards:
        state.forget_outputs(shard)  # those, too, that nobody needs now: they won't be made
    taken = []
    for shard in shards:
        taken += start_over(state, shard, shard.outputs, KeyEvent.WITHDRAWN)
    return taken


def start_over(
    state: TrackerState, shard: ShardRecord, outputs: Iterable[KeyRecord], event: KeyEvent
) -> list[KeyRecord]:
    """Have outputs of a shard wait again that it was to make; give them.

    What has been replaced meanwhile isn't made again: who reads it is planned anew as well. What
    was recalled by its name can only be taken from whoever makes it by now.
    """
    taken = []
    for record in outputs:
        if record.shard is not shard or record.state is not KeyState.PLANNED:
            continue
        state.catalog.forget(record.key, shard.id)
        if state.is_current(record) and (record.graph is not None or is_found(state, record)):
            record.start_over(event)
            taken.append(record)
    return taken


def close(state: TrackerState, stages: Sequence[StageId], taken: Iterable[KeyRecord]) -> None:
    """End stages whose keys wait elsewhere by now: the last first, as they read each other."""
    for id in reversed(stages):
        stage = state.stages.get(id)
        if stage is None or not stage.open:
            continue
        state.actions.append(TerminateStage(id))
        for shard in stage.shards:
            if shard.is_open:
                _fail_recalled(state, shard)
                state.close(shard, ShardEvent.WITHDRAWN)
    for record in taken:
        state.detach(record)
        state.drop_if_unneeded(record)


def _fail_recalled(state: TrackerState, shard: ShardRecord) -> None:
    """Err what nobody here can plan: whoever waits for it would wait for ever."""
    for record in shard.outputs:
        is_here = record.shard is shard and record.state is KeyState.PLANNED
        if is_here and state.is_current(record) and record.graph is None:
            state.fail(record, KeyEvent.SHARD_FAILED, made_elsewhere(record))


def made_elsewhere(record: KeyRecord) -> MissingObjectError:
    """Say why there is no value of a key of which only the name is known here."""
    return MissingObjectError(
        f"the job that was to make {record.key!r} has handed it over to another one, which "
        "isn't known here: drop its future and submit it again"
    )
