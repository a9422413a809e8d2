"""After a mistake of ours nobody knows what else is wrong: whatever has no outcome errs."""

from __future__ import annotations

from dask_knot.run.names import StageId
from dask_knot.tracking.actions import FailKey, TerminateStage
from dask_knot.tracking.events import KeyAsked
from dask_knot.tracking.moves import KeyEvent, KeyState, ShardEvent
from dask_knot.tracking.records import KeyRecord
from dask_knot.tracking.state import TrackerState

UNDECIDED = frozenset({KeyState.WAITING, KeyState.PLANNED})


def give_up(state: TrackerState, error: Exception, question: KeyAsked | None = None) -> None:
    """Err what waits or runs, end its jobs, and begin anew with the values that are there.

    `question` is one that came to grief itself.
    """
    if question is not None:
        _note(state, question, error)
    state.inflow.forget()
    drafts = [*state.drafts, *([state.planning[1]] if state.planning else [])]
    state.drafts.clear()
    state.planning = None
    for record in _records(state):
        if record.state in UNDECIDED:
            state.fail(record, KeyEvent.GIVEN_UP, error)
        state.answer(record)
    for id in sorted(state.running):
        _end(state, id)
    for draft in drafts:
        state.let_go(draft.reads.values())
    for record in list(state.keys.values()):
        # No shard runs and nothing waits, whatever was counted.
        record.count_readers(-record.readers)
        state.drop_if_unneeded(record)


def _note(state: TrackerState, question: KeyAsked, error: Exception) -> None:
    record = state.keys.get(question.key)
    if record is None:
        state.actions.append(FailKey(question.key, question.run_id, error))
    else:
        record.ask(question.run_id)


def _records(state: TrackerState) -> list[KeyRecord]:
    """List all records; others have taken the place of some that shards still make."""
    running = [stage for stage in state.stages.values() if stage.open]
    made = [r for stage in running for s in stage.shards for r in s.outputs if r.shard is s]
    return list({id(record): record for record in [*state.keys.values(), *made]}.values())


def _end(state: TrackerState, id: StageId) -> None:
    stage = state.stages.get(id)
    if stage is None or not stage.open:
        return
    state.actions.append(TerminateStage(stage.id))
    for shard in stage.shards:
        if shard.is_open:
            state.forget_outputs(shard)
            state.close(shard, ShardEvent.GIVEN_UP)
