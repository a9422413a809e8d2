"""Dask's side of it: graphs that arrive, questions, releases, scattered values."""

from __future__ import annotations

from dataclasses import replace

from dask.utils import key_split

from dask_knot.errors import MissingObjectError
from dask_knot.run.manifest import Kind, Output
from dask_knot.tracking import adoption, events, gathering
from dask_knot.tracking.actions import FailKey
from dask_knot.tracking.moves import KeyEvent, KeyState, ShardEvent
from dask_knot.tracking.records import KeyRecord, ShardRecord
from dask_knot.tracking.state import TrackerState
from dask_knot.tracking.tally import EarlierTally

#: After so many seconds without a graph, what was is not shown together with what comes.
QUIET = 10.0


def begin_arrival(state: TrackerState, event: events.ArrivalBegan, now: float) -> None:
    """Note that a graph of a client is taken up."""
    state.inflow.begin(now)


def end_arrival(state: TrackerState, event: events.ArrivalEnded, now: float) -> None:
    """Note that a graph of a client was taken up, or refused."""
    state.inflow.end(now)


def submit(state: TrackerState, event: events.GraphSubmitted, now: float) -> None:
    """Take a graph in, and gather what is missing of it."""
    if state.is_idle and now - state.inflow.last > QUIET:
        state.since, state.earlier = state.plans, EarlierTally()
    state.durations.meet(event.graph.marks)
    _choose_memory(state, event.graph)
    missing = []
    for key in event.graph.wanted:
        record = state.keys.get(key)
        if record is None:
            record = state.keys[key] = KeyRecord(key, event.graph)
        if record.want(event.graph, event.is_held) and not adoption.is_taken(state, record):
            missing.append(record)
    if missing:
        gathering.gather(state, missing, now)


def _choose_memory(state: TrackerState, graph: events.Graph) -> None:
    """Choose the memory of jobs for what is planned from now on, if that is to be chosen."""
    automatic = state.memory.automatic
    if automatic is None:
        return
    prefixes = {*graph.marks} or {key_split(key) for key in graph.tasks.keys() - graph.literals}
    memory, why = automatic.choose(state.durations.peaks, prefixes)
    if state.drafts and state.default.memory is not None:
        memory = max(memory, state.default.memory)  # others wait to be planned with it
    state.default = replace(state.default, memory=memory)
    state.actions += automatic.news(why)


def take(state: TrackerState, event: events.GraphTaken, now: float) -> None:
    """Note which of the wanted keys of a graph Dask holds."""
    for key in event.graph.wanted:
        record = state.keys.get(key)
        if record is None:  # a mistake came before it
            continue
        is_taken = key in event.taken
        record.take(event.graph, is_taken)
        if not is_taken:
            state.drop_if_unneeded(record)


def ask(state: TrackerState, event: events.KeyAsked, now: float) -> None:
    """Answer Dask, or make the value; once more after an outcome means: again."""
    record = state.keys.get(event.key)
    if record is None:
        error = MissingObjectError(f"{event.key!r} is unknown to this cluster: submit it again")
        state.actions.append(FailKey(event.key, event.run_id, error))
        return
    if record.state is KeyState.ERRED and record.is_answered:
        if record.shard is not None:
            state.catalog.forget(record.key, record.shard.id)
        old, record = record, KeyRecord(record.key, record.graph)
        state.replace(old, record)
    if not record.ask(event.run_id):
        state.answer(record)
    elif record.graph is None:
        lost = f"the scattered value {record.key!r} is gone: scatter it again"
        state.fail(record, KeyEvent.REFUSED, MissingObjectError(lost))
    else:
        gathering.gather_retried(state, record, now)


def release(state: TrackerState, event: events.KeyReleased, now: float) -> None:
    """Let a key go that Dask holds no longer."""
    record = state.keys.get(event.key)
    if record is not None:
        record.release(event.forgotten, event.is_left)
        state.drop_if_unneeded(record)


def scatter(state: TrackerState, event: events.ValuesScattered, now: float) -> None:
    """Note values that the client stored itself."""
    group = ShardRecord(None, 0)
    group.move(ShardEvent.SCATTERED)
    for key, place in event.places.items():
        output = Output(len(group.outputs), Kind.FINISHED, place, place.length, 0, now, now)
        record = KeyRecord(key, None, digest=event.digests.get(key))
        state.keep(group, place.length)
        group.own.write({place.name})
        if key in state.keys:
            state.replace(state.keys[key], record)
        state.keys[key] = record
        record.scatter(group, output)
        state.answer(record)


def lose(state: TrackerState, event: events.ValueLost, now: float) -> None:
    """Note that a stored value can't be read."""
    record = state.keys.get(event.key)
    if record is not None and record.state is KeyState.STORED:
        state.lose(record, event.error)
