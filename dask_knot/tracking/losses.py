"""Values that shards could not read: they are made again, and then their readers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from dask_knot.errors import MissingObjectError
from dask_knot.run.names import ShardId
from dask_knot.tracking import gathering
from dask_knot.tracking.actions import WriteAgain
from dask_knot.tracking.moves import KeyEvent, KeyState
from dask_knot.tracking.records import KeyRecord, ShardRecord
from dask_knot.tracking.recovery import ATTEMPTS
from dask_knot.tracking.state import TrackerState


def is_starved(state: TrackerState, record: KeyRecord) -> bool:
    """Tell whether an output that failed for want of an input is worth another plan."""
    may_be_planned = record.graph is not None and record.attempts < ATTEMPTS
    return may_be_planned and state.is_current(record) and not record.is_late(KeyEvent.STARVED)


class Losses(NamedTuple):
    """The values that a shard found gone or damaged.

    Attributes
    ----------
    shards : list of ShardId
        Those that aren't known to be done, though their last manifest can't be read.
    wanted : list of KeyRecord
        Keys that a client holds, whose values have to be made again.
    """

    shards: list[ShardId]
    wanted: list[KeyRecord]


def note_lost(state: TrackerState, shard: ShardRecord, objects: Collection[str]) -> Losses:
    """Let go of what a shard found gone or damaged."""
    state.actions.append(WriteAgain(sorted(objects)))
    shards: list[ShardId] = []
    wanted: list[KeyRecord] = []
    for record in {id(record): record for record in shard.inputs}.values():
        if record.state is KeyState.PLANNED:
            maker = _maker_that_is_lost(state, record, objects)
            shards.extend([maker] if maker is not None and _is_open(record) else [])
        elif _stands_in(state, record, objects) and state.is_current(record):
            state.lose(record, _gone(record))
            new = state.keys.get(record.key)
            if new is not None and new.is_wanted and new.state is KeyState.GONE:
                wanted.append(new)
    return Losses(shards, wanted)


def plan_again(
    state: TrackerState, starved: Sequence[KeyRecord], wanted: Sequence[KeyRecord], now: float
) -> None:
    """Plan what could not be made for want of inputs, and with it those inputs that are lost."""
    for record in wanted:
        record.start_over(KeyEvent.NEEDED)
    for record in starved:
        record.start_over(KeyEvent.STARVED, is_counted=True)
    gathering.gather_again(state, [*wanted, *starved], now)


def _stands_in(state: TrackerState, record: KeyRecord, objects: Collection[str]) -> bool:
    """Tell whether shards look for a value, or failure, in one of these objects."""
    if record.output is None:
        return False
    if record.output.place.name in objects:
        return True
    # A failure is found by the last manifest of its shard, wherever it stands.
    is_erred = record.state is KeyState.ERRED
    return is_erred and _maker_that_is_lost(state, record, objects) is not None


def _maker_that_is_lost(
    state: TrackerState, record: KeyRecord, objects: Collection[str]
) -> ShardId | None:
    maker = record.shard.id if record.shard is not None else None
    return maker if maker is not None and state.names.manifest(maker) in objects else None


def _is_open(record: KeyRecord) -> bool:
    return record.shard is not None and record.shard.is_open


def _gone(record: KeyRecord) -> MissingObjectError:
    why = "no task makes it" if record.graph is None else f"it was lost {record.attempts} times"
    return MissingObjectError(
        f"the value of {record.key!r} is gone from the store or damaged there, and {why}: submit "
        "or scatter it again"
    )
