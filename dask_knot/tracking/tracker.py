"""The tracker: events in, actions out; it decides, and does nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dask.typing import Key

from dask_knot.errors import MissingObjectError
from dask_knot.planning import Limits, Resources
from dask_knot.run.manifest import Kind, Output, Place
from dask_knot.run.names import ShardId, StageId
from dask_knot.tracking import events, gathering, outcomes
from dask_knot.tracking import plans as planned
from dask_knot.tracking.actions import Action, FailKey
from dask_knot.tracking.mistakes import give_up
from dask_knot.tracking.records import KeyRecord, ShardRecord
from dask_knot.tracking.state import Pace, State
from dask_knot.tracking.states import KeyState, ShardState
from dask_knot.tracking.tally import Earlier

__all__ = ["Pace", "Tracker"]

#: After so many seconds without a graph, what was is not shown together with what comes.
QUIET = 10.0


class Tracker:
    """Knows of every wanted key, and of every value between shards, where it stands.

    Parameters
    ----------
    run : str
        The name under which everything is stored.
    limits : Limits
        What the planner keeps to.
    default : Resources
        What a job has unless its tasks ask for something else.
    pace : Pace
        How long small graphs are gathered.
    """

    def __init__(self, run: str, limits: Limits, default: Resources, pace: Pace) -> None:
        self.state = State(run, limits, default, pace)

    def handle(self, event: events.Event, now: float) -> list[Action]:
        """Take in what happened.

        Parameters
        ----------
        event : Event
            What happened.
        now : float
            When, in seconds on a clock that never goes back.

        Returns
        -------
        list of Action
            What is to be done, in this order.
        """
        _HANDLERS[type(event)](self.state, event, now)
        gathering.plan_if_due(self.state, now)
        return self._decided()

    def give_up(self, error: Exception, event: events.Event | None = None) -> list[Action]:
        """Err all keys that have no outcome, after a mistake: nobody may wait for ever.

        What comes later is computed as always.

        Parameters
        ----------
        error : Exception
            What the keys err with.
        event : Event, optional
            What could not be taken in.
        """
        give_up(self.state, error, event if isinstance(event, events.KeyAsked) else None)
        return self._decided()

    def _decided(self) -> list[Action]:
        actions, self.state.actions = self.state.actions, []
        return actions

    def due(self) -> float | None:
        """Tell when `Ticked` should come at the latest, on the clock of `now`."""
        return gathering.due(self.state)

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs and nothing waits to be planned."""
        return self.state.is_idle

    def open_stages(self) -> list[StageId]:
        """List the stages that have shards that aren't done, in the order of their plans."""
        return sorted(self.state.running)

    def open_shards(self, stages: Iterable[StageId]) -> list[ShardId]:
        """List the shards of some stages that aren't done."""
        known = [self.state.stages[id] for id in stages if id in self.state.stages]
        return [
            shard.id
            for stage in known
            for shard in stage.shards
            if shard.state is ShardState.OPEN and shard.id is not None
        ]

    def unneeded_shards(self, stage: StageId) -> list[ShardId]:
        """List the shards that run, though nobody needs what they make, while others are needed."""
        known = self.state.stages.get(stage)
        open_shards = [s for s in known.shards if s.state is ShardState.OPEN] if known else []
        return [s.id for s in open_shards if s.id is not None and s.outputs and not s.alive]

    def place_of(self, key: Key) -> Place | None:
        """Tell where the value of a key is, if it is stored."""
        record = self.state.keys.get(key)
        if record is None or record.state is not KeyState.STORED or record.output is None:
            return None
        return record.output.place

    def shard_of(self, key: Key) -> ShardId | None:
        """Tell which shard makes the value of a key, or made it last."""
        record = self.state.keys.get(key)
        return record.shard.id if record is not None and record.shard is not None else None

    def resize(self, limits: Limits) -> None:
        """Plan for another number of slots from now on."""
        self.state.limits = limits


def _begin_arrival(state: State, event: events.ArrivalBegan, now: float) -> None:
    state.note_arrival(now)
    state.arrivals += 1


def _end_arrival(state: State, event: events.ArrivalEnded, now: float) -> None:
    state.arrivals = max(0, state.arrivals - 1)  # none is counted after a mistake
    state.last_arrival = now


def _submit(state: State, event: events.GraphSubmitted, now: float) -> None:
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


def _take(state: State, event: events.GraphTaken, now: float) -> None:
    for key in event.graph.wanted:
        record = state.keys.get(key)
        if record is None:  # a mistake came before it
            continue
        record.arriving -= 1
        if key in event.taken:
            record.made_by(event.graph)
        record.is_wanted = record.is_known = key in event.taken
        state.drop_if_unneeded(record)


def _ask(state: State, event: events.KeyAsked, now: float) -> None:
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


def _release(state: State, event: events.KeyReleased, now: float) -> None:
    record = state.keys.get(event.key)
    if record is not None:
        record.is_wanted, record.asked = False, None
        record.is_known = not event.forgotten
        state.drop_if_unneeded(record)


def _scatter(state: State, event: events.ValuesScattered, now: float) -> None:
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


def _lose(state: State, event: events.ValueLost, now: float) -> None:
    record = state.keys.get(event.key)
    if record is not None and record.state is KeyState.STORED:
        state.lose(record, event.error)


def _record_plan(state: State, event: events.PlanMade, now: float) -> None:
    planned.record_plan(state, event.number, event.plan)


def _refuse_plan(state: State, event: events.PlanningFailed, now: float) -> None:
    planned.refuse_plan(state, event.number, event.error)


def _take_manifest(state: State, event: events.ManifestFound, now: float) -> None:
    outcomes.take_manifest(state, event, now)


def _fail_submission(state: State, event: events.SubmissionFailed, now: float) -> None:
    outcomes.take_failed_submission(state, event)


def _tick(state: State, event: events.Ticked, now: float) -> None:
    """Time is looked at after every event."""


_HANDLERS: dict[type[Any], Callable[[State, Any, float], None]] = {
    events.ArrivalBegan: _begin_arrival,
    events.ArrivalEnded: _end_arrival,
    events.GraphSubmitted: _submit,
    events.GraphTaken: _take,
    events.KeyAsked: _ask,
    events.KeyReleased: _release,
    events.ValuesScattered: _scatter,
    events.ValueLost: _lose,
    events.PlanMade: _record_plan,
    events.PlanningFailed: _refuse_plan,
    events.ManifestFound: _take_manifest,
    events.ChildFailed: outcomes.take_failed_child,
    events.SubmissionFailed: _fail_submission,
    events.Ticked: _tick,
}
