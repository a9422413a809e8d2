"""A plan becomes records: who makes which value, and who reads it."""

from __future__ import annotations

from collections.abc import Mapping

from dask.typing import Key

from dask_knot.errors import MissingObjectError
from dask_knot.planning import Dependency, DependencyType, Shard, Stage
from dask_knot.run.manifest import Place
from dask_knot.run.names import ShardId, StageId
from dask_knot.run.record import pieces
from dask_knot.tracking.actions import Decided, SubmitPlan, WithdrawPlan
from dask_knot.tracking.adoption import hold_all
from dask_knot.tracking.drafts import Draft
from dask_knot.tracking.durations import said_of
from dask_knot.tracking.events import PlanMade, PlanningFailed
from dask_knot.tracking.gaps import is_stale
from dask_knot.tracking.moves import KeyEvent, KeyState
from dask_knot.tracking.records import KeyRecord, ShardRecord
from dask_knot.tracking.remainder import Remainder
from dask_knot.tracking.stages import StageRecord
from dask_knot.tracking.state import TrackerState
from dask_knot.tracking.tally import Tally, remember, tally

Whereabouts = Place | tuple[ShardId, int] | Exception


def record_plan(state: TrackerState, event: PlanMade, now: float) -> None:
    """Take a plan in, and have it submitted; or plan again if what it reads was lost meanwhile."""
    number, plan = event.number, event.plan
    draft = planned(state, number)
    if draft is None or _is_late(state, draft, event):
        if event.record is not None:
            state.actions.append(WithdrawPlan(number, len(plan.stages)))
        if draft is not None:
            draft.come_first()
            state.drafts.appendleft(draft)
        return
    if event.record is not None:
        state.catalog.add_own(event.record)
    inputs = {key: whereabouts_of(record) for key, record in draft.reads.items()}
    after = _running_plans(draft)
    said = draft.seconds()
    for index, stage in enumerate(plan.stages):
        counted = tally(StageId(number, index), after, len(stage.shards))
        for forgotten in remember(state.tallies, counted):
            if forgotten.id.plan >= state.since:
                state.earlier.add(forgotten)
        _record_stage(state, draft, counted, stage, said)
        if not stage.depends_on:
            state.stages[counted.id].look(now)  # it may start at once
    state.actions += [Decided(text, is_news=True) for text in plan.warnings]
    state.actions.append(SubmitPlan(number, plan, draft.tasks, inputs))
    state.let_go(draft.reads.values())
    for index in range(len(plan.stages)):
        record = state.stages.get(StageId(number, index))
        for shard in record.shards if record else ():
            for output in shard.outputs:
                if output.shard is shard and not output.is_wanted:
                    state.drop_if_unneeded(output)


def _is_late(state: TrackerState, draft: Draft, event: PlanMade) -> bool:
    """Tell whether what a plan reads isn't there any more, or others make a part of it by now."""
    if is_stale(state, draft) or hold_all(state, draft):
        return True
    made = event.record
    if made is None or draft.looked == state.told:
        return False
    digests = pieces(made.digests)
    return any(map(state.catalog.has, made.keys, digests))


def refuse_plan(state: TrackerState, event: PlanningFailed, now: float) -> None:
    """Err everything that a plan should have made."""
    draft = planned(state, event.number)
    if draft is not None:
        refuse(state, draft, event.error)


def refuse(state: TrackerState, draft: Draft, error: Exception) -> None:
    """Err everything that waits in a draft."""
    for record in draft.wanted:
        if record.draft is draft:
            state.fail(record, KeyEvent.REFUSED, error)
            state.drop_if_unneeded(record)
    state.let_go(draft.reads.values())


def planned(state: TrackerState, number: int) -> Draft | None:
    """Give the draft of a plan, unless it was given up meanwhile."""
    if state.planning is None or state.planning[0] != number:
        return None
    _, draft = state.planning
    state.planning = None
    return draft


def whereabouts_of(record: KeyRecord) -> Whereabouts:
    """Tell a shard where a value is, or which shard makes it, or why there is none."""
    if record.state is KeyState.STORED and record.output is not None:
        return record.output.place
    if record.error is not None:
        return record.error
    if record.state is KeyState.GONE:
        return MissingObjectError(f"the value of {record.key!r} is gone, and nothing makes it")
    assert record.shard is not None
    assert record.shard.id is not None
    return record.shard.id, record.ordinal


def _running_plans(draft: Draft) -> frozenset[int]:
    """Name the earlier plans that still make what a draft reads."""
    shards = [record.shard for record in draft.reads.values()]
    running = [s.id for s in shards if s and s.id and s.is_open]
    return frozenset([id.stage.plan for id in running])


def _record_stage(
    state: TrackerState, draft: Draft, counted: Tally, planned: Stage, said: Mapping[Key, float]
) -> None:
    id = counted.id
    waits, pairs = _upstream(id, planned)
    own = state.names.pack(id), state.names.orders(id)
    is_narrow = draft.tasks_per_shard is not None
    stage = StageRecord(id, *own, counted, waits=waits, pairs=pairs, is_narrow=is_narrow)
    stage.give(planned.resources)
    state.stages[id] = stage
    state.running.add(id)
    state.open_shards += len(planned.shards)
    for index, shard in enumerate(planned.shards):
        made = _shard(ShardId(id, index), shard, said)
        counted.expect(made.rest.left)
        stage.add(made)
        for key in shard.outputs:
            _output(state, draft, key).plan(made, draft.digest(key))
        for key in shard.inputs:
            made.read(draft.reads.get(key) or state.keys[key])


def _shard(id: ShardId, shard: Shard, seconds: Mapping[Key, float]) -> ShardRecord:
    size, said = len(shard.tasks), said_of(shard.tasks, seconds) if seconds else {}
    rest = Remainder(dict(shard.prefixes), {}, size, 0, said, shard.weight, shard.unknown)
    return ShardRecord(id, size, width=len(shard.outputs), rest=rest)


def _upstream(id: StageId, stage: Stage) -> tuple[frozenset[StageId], frozenset[StageId]]:
    """Name the stages that one waits for, and those where child waits for child."""
    ids = {found: _stage_id(id, found) for found in stage.depends_on}
    pairs = [id for found, id in ids.items() if found.type is DependencyType.N_TO_N]
    return frozenset(ids.values()), frozenset(pairs)


def _stage_id(id: StageId, found: Dependency) -> StageId:
    if isinstance(found.upstream, int):
        return StageId(id.plan, found.upstream)
    assert isinstance(found.upstream.id, StageId)
    return found.upstream.id


def _output(state: TrackerState, draft: Draft, key: Key) -> KeyRecord:
    """Find or make the record of a value that a shard of this plan will write."""
    record = state.keys.get(key)
    if record is None:
        record = state.keys[key] = KeyRecord(key, draft.origin[key])
        record.start_over(KeyEvent.NEEDED)
    elif record.state is KeyState.GONE:
        # Its value went while others still may ask for it; now it comes again.
        record.made_by(draft.origin[key])
        record.start_over(KeyEvent.NEEDED)
    elif record.state is not KeyState.WAITING:
        old, record = record, KeyRecord(key, record.graph, attempts=record.attempts)
        record.start_over(KeyEvent.NEEDED)
        if old.is_answered:
            record.note_answer()  # Dask doesn't learn that it is made once more
        state.replace(old, record)
        record.made_by(draft.origin[key])
    return record
