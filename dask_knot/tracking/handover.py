"""Shards hand over: what their children haven't begun is planned again, while they go on.

A child hands over once. What it gave up may be read by stages that were submitted already: these
look for it where it won't be, so they are taken back and planned with it.
"""

from __future__ import annotations

from collections.abc import Iterable

from dask.typing import Key

from dask_knot.plural import many
from dask_knot.run.manifest import Handed, Manifest
from dask_knot.run.names import StageId
from dask_knot.tracking import gathering, withdrawal
from dask_knot.tracking.actions import Decided
from dask_knot.tracking.graph import Graph
from dask_knot.tracking.moves import KeyEvent, KeyState
from dask_knot.tracking.records import KeyRecord, ShardRecord
from dask_knot.tracking.state import TrackerState
from dask_knot.tracking.words import child_name


def note(state: TrackerState, shard: ShardRecord, manifest: Manifest) -> None:
    """Note what a shard doesn't run any more, and which values it has written for that."""
    handed = manifest.handed
    if manifest.final and shard.rest.is_asked and shard.id is not None:
        shard.own.write({state.names.claim(shard.id)})  # the child's, if it has taken all back
    if handed is None or shard.rest.has_handed:
        return
    assert shard.id is not None
    state.stages[shard.id.stage].tally.hand_over(shard.rest.hand_over(handed.tasks))
    shard.own.write({state.names.claim(shard.id)})
    graphs = dict.fromkeys(r.graph for r in _given(shard, handed) if r.graph is not None)
    for number, key in enumerate(handed.extra):
        if (record := _missing(state, key, graphs)) is not None:
            record.start_over(KeyEvent.NEEDED)
            record.stay(shard, shard.width + number)
    for key, value in shard.own.take_up().items():
        if (record := _missing(state, key, graphs)) is not None:
            record.start_over(KeyEvent.NEEDED)
            record.adopt(shard, value.output.ordinal)
            record.find(KeyEvent.VALUE_FOUND, *value)


def plan_again(
    state: TrackerState, shard: ShardRecord, handed: Handed | None, now: float
) -> list[KeyRecord]:
    """Have planned what a shard has handed over; give what has left it."""
    again: list[KeyRecord] = []
    behind: set[StageId] = set()
    # What is planned may adopt other outputs of this very shard, that it has handed over as well.
    while handed is not None and (given := _given(shard, handed)):
        stages = withdrawal.with_followers(state, withdrawal.readers(state, given))
        wait = withdrawal.start_over(state, shard, given, KeyEvent.HANDED_OVER)
        taken = withdrawal.take_back(state, stages)
        gathering.gather_again(state, [*wait, *taken], now, is_handed=not stages)
        withdrawal.close(state, stages, taken)
        again += wait
        behind.update(stages)
        if not wait:
            break
    if handed is not None and again:
        state.actions.append(Decided(_words(shard, handed, len(behind))))
    return again


def make_extras(state: TrackerState, shard: ShardRecord, now: float) -> list[KeyRecord]:
    """Have made again what a shard still owed for what it had handed over; give what has left it.

    Its last manifest knows nothing of it if another attempt could not read of the hand-over, or did
    not see it any more.
    """
    pending = list(shard.extras.values())
    owed = withdrawal.start_over(state, shard, pending, KeyEvent.SHARD_LOST)
    if owed:
        gathering.gather_again(state, owed, now)
    return owed


def release(state: TrackerState, shard: ShardRecord) -> None:
    """Let go of values that were written for what was handed over, and that nothing reads."""
    for record in (*shard.extras.values(), *shard.outputs):
        if record.shard is shard:
            state.drop_if_unneeded(record)


def _given(shard: ShardRecord, handed: Handed) -> list[KeyRecord]:
    """List the outputs that a shard doesn't make any more, and that somebody waits for."""
    ordinals = set(handed.outputs)
    found = [shard.outputs[n] for n in sorted(ordinals) if n < shard.width]
    found += [twin for twin in shard.twins if twin.ordinal in ordinals]
    return [r for r in found if r.shard is shard and r.state is KeyState.PLANNED]


def _missing(state: TrackerState, key: Key, graphs: Iterable[Graph]) -> KeyRecord | None:
    """Find or make the record of a value that is only inside a shard, or was let go."""
    graph = next((graph for graph in graphs if key in graph.tasks), None)
    record = state.keys.get(key)
    if graph is None or (record is not None and record.state is not KeyState.GONE):
        return None
    if record is None:
        record = state.keys[key] = KeyRecord(key, graph)
    record.made_by(graph)
    return record


def _words(shard: ShardRecord, handed: Handed, stages: int) -> str:
    assert shard.id is not None
    count = sum(handed.tasks.values())
    which = "which is" if count == 1 else "which are"
    text = f"{child_name(shard.id)} has handed over {many('task', count)}, {which} planned again"
    return text + (f" together with {many('stage', stages)} downstream" if stages else "")
