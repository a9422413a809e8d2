"""What Dask asks for and lets go: graphs that arrive, questions, releases, scattered values."""

from __future__ import annotations

from dask_knot.errors import MissingObjectError
from dask_knot.run.manifest import Kind, Output
from dask_knot.tracking import events, gathering
from dask_knot.tracking.actions import FailKey
from dask_knot.tracking.records import KeyRecord, ShardRecord
from dask_knot.tracking.state import State
from dask_knot.tracking.states import KeyState, ShardState
from dask_knot.tracking.tally import Earlier

#: After so many seconds without a graph, what was is not shown together with what comes.
QUIET = 10.0


def begin_arrival(state: State, event: events.ArrivalBegan, now: float) -> None:
    """Note that a graph of a client is taken up."""
    state.note_arrival(now)
    state.arrivals += 1


def end_arrival(state: State, event: events.ArrivalEnded, now: float) -> None:
    """Note that a graph of a client was taken up, or refused."""
    state.arrivals = max(0, state.arrivals - 1)  # none is counted after a mistake
    state.last_arrival = now


def submit(state: State, event: events.GraphSubmitted, now: float) -> None:
    """Take a graph in, and gather what is missing of it."""
    if state.is_idle and now - state.last_arrival > QUIET:
        state.since, state.earlier = state.plans, Earlier()
    missing = []
    for key in event.graph.wanted:
        record = state.keys.get(key)
        if record is None:
            record = state.keys[key] = KeyRecord(key, event.graph)
            missing.append(record)
        record.made_by(event.graph)
        if record.state is KeyState.GONE:
            record.start_over()
            missing.append(record)
        record.is_wanted = True
        record.is_known |= not event.is_held
        record.arriving += event.is_held
    if missing:
        gathering.gather(state, missing, now)


def take(state: State, event: events.GraphTaken, now: float) -> None:
    """Note which of the wanted keys of a graph Dask holds."""
    for key in event.graph.wanted:
        record = state.keys.get(key)
        if record is None:  # a mistake came before it
            continue
        record.arriving -= 1
        if key in event.taken:
            record.made_by(event.graph)
        record.is_wanted = record.is_known = key in event.taken
        state.drop_if_unneeded(record)


def ask(state: State, event: events.KeyAsked, now: float) -> None:
    """Answer Dask, or make the value; once more after an outcome means: again."""
    record = state.keys.get(event.key)
    if record is None:
        error = MissingObjectError(f"{event.key!r} is unknown to this cluster: submit it again")
        state.actions.append(FailKey(event.key, event.run_id, error))
        return
    record.is_wanted = record.is_known = True
    record.asked = event.run_id
    told = record.state is KeyState.ERRED and record.is_answered
    if record.state is KeyState.GONE or told:
        _make_again(state, record, now)
    else:
        state.answer(record)


def _make_again(state: State, record: KeyRecord, now: float) -> None:
    if record.state is KeyState.ERRED:
        old, record = record, KeyRecord(record.key, record.graph)
        state.replace(old, record)
    else:
        record.start_over()
    if record.graph is None:
        lost = f"the scattered value {record.key!r} is gone: scatter it again"
        state.fail(record, MissingObjectError(lost))
    else:
        gathering.gather_retried(state, record, now)


def release(state: State, event: events.KeyReleased, now: float) -> None:
    """Let a key go that Dask holds no longer."""
    record = state.keys.get(event.key)
    if record is not None:
        record.is_wanted, record.asked = False, None
        record.is_known = not event.forgotten
        state.drop_if_unneeded(record)


def scatter(state: State, event: events.ValuesScattered, now: float) -> None:
    """Note values that the client stored itself."""
    group = ShardRecord(None, 0, state=ShardState.DONE)
    for key, place in event.places.items():
        output = Output(len(group.outputs), Kind.FINISHED, place, place.length, 0, now, now)
        record = KeyRecord(key, None, KeyState.STORED, shard=group, output=output)
        group.outputs.append(record)
        group.alive += 1
        state.keep(group, place.length)
        assert group.objects is not None
        group.objects.add(place.name)
        if key in state.keys:
            state.replace(state.keys[key], record)
        state.keys[key] = record
        record.is_wanted = record.is_known = record.is_answered = True
        state.answer(record)


def lose(state: State, event: events.ValueLost, now: float) -> None:
    """Note that a stored value can't be read."""
    record = state.keys.get(event.key)
    if record is not None and record.state is KeyState.STORED:
        state.lose(record, event.error)
