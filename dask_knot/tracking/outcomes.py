"""The legacy of children: manifests, or nothing, and then work to be done again."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from dask_knot.errors import CorruptObjectError, InternalError, JobError, MissingObjectError
from dask_knot.run.manifest import Kind, Manifest, Output
from dask_knot.tracking import gathering, growth, handover, losses
from dask_knot.tracking.actions import Decided, WriteAgain
from dask_knot.tracking.events import (
    ChildFailed,
    CostsRecalled,
    Ending,
    ManifestFound,
    SubmissionFailed,
)
from dask_knot.tracking.moves import KeyEvent, KeyState, ShardEvent
from dask_knot.tracking.records import KeyRecord, ShardRecord
from dask_knot.tracking.recovery import NARROWING, Consequence, is_own_fault, judge, narrowed
from dask_knot.tracking.state import TrackerState
from dask_knot.tracking.withdrawal import made_elsewhere


def recall_costs(state: TrackerState, event: CostsRecalled, now: float) -> None:
    """Take in what tasks cost before any of them has run here."""
    state.durations.recall(event.costs, event.nbytes, event.peaks)
    state.durations.assume(event.assumed)
    state.memory.recall(event.memory)


def take_manifest(state: TrackerState, event: ManifestFound, now: float) -> None:
    """Note what a child has committed; what it could not make for want of inputs is made again."""
    manifest = event.manifest
    stage = state.stages.get(event.shard.stage)
    written = {event.name, *(output.place.name for output in manifest.outputs)}
    shard = stage.shards[event.shard.index] if stage else None
    state.durations.learn(manifest.work)
    if shard is None or shard.own.are_gone:
        state.delete(sorted(written))
        return
    shard.own.write(written)
    if stage is None or not shard.is_open or _is_before(event, shard):
        return
    if not _is_of(manifest, shard):
        error = CorruptObjectError(f"the manifest {event.name} isn't that of {event.shard}")
        take_failed_child(state, ChildFailed(event.shard, Ending.UNREADABLE, error), now)
        return
    if shard.is_adopted and not manifest.final:
        shard.own.take_part(manifest)
    state.moved.update(manifest.moved)
    for prefix in state.durations.compare(manifest.work, shard.rest.said):
        text = (
            f"tasks of {prefix!r} don't take the seconds given for them: what they really took "
            "is used instead"
        )
        state.actions.append(Decided(text))
    growth.note_enough(state, shard, [*manifest.work])
    shard.rest.take(manifest, now)
    handover.note(state, shard, manifest)
    shard.rest.have_left(stage.tally.ran(shard.rest.left, manifest))
    again = _take_all(state, shard, event, now)
    # Of what is made again, inputs may be adopted from this very manifest.
    while any(record.state is KeyState.PLANNED for record in _told_of(shard, manifest)):
        again += _take_all(state, shard, event, now)
    if manifest.final:
        _end(state, shard)
    for record in again:
        state.detach(record)
    handover.release(state, shard)
    for record in shard.outputs if shard.alive else ():
        if record.shard is shard and not record.is_wanted:
            state.drop_if_unneeded(record)  # its client has left


def _take_all(
    state: TrackerState, shard: ShardRecord, event: ManifestFound, now: float
) -> list[KeyRecord]:
    """Note all that a manifest says; give what is made again."""
    again = _take_outputs(state, shard, event, now)
    again += handover.plan_again(state, shard, event.manifest.handed, now)
    if event.manifest.final:
        again += handover.make_extras(state, shard, now)
    return again


def _take_outputs(
    state: TrackerState, shard: ShardRecord, event: ManifestFound, now: float
) -> list[KeyRecord]:
    """Note the outcomes of keys; have made again, and give, those that have none in the end."""
    manifest = event.manifest
    starved: list[KeyRecord] = []
    stale: list[KeyRecord] = []
    for output, record in _told(shard, manifest):
        if record.shard is not shard or record.state is KeyState.WAITING:
            continue  # it is made elsewhere, or is made again
        if output.ordinal in manifest.lost and losses.is_starved(state, record):
            starved.append(record)
            continue
        if output.kind and event.is_old and _is_to_be_tried(shard, record):
            stale.append(record)
            continue
        happened = KeyEvent.FAILURE_FOUND if output.kind else KeyEvent.VALUE_FOUND
        if record.find(happened, output, None if output.kind else manifest.types[output.type]):
            state.keep(shard, output.place.length)
            state.answer(record)
    if stale:
        _try_again(state, stale, now)
    if starved:
        _feed(state, shard, starved, manifest, now)
    return [*starved, *stale]


def _told_of(shard: ShardRecord, manifest: Manifest) -> list[KeyRecord]:
    """List the keys of a shard that a manifest tells of."""
    return [record for _, record in _told(shard, manifest) if record.shard is shard]


def _told(shard: ShardRecord, manifest: Manifest) -> Iterator[tuple[Output, KeyRecord]]:
    twins = shard.twins
    for output in manifest.outputs:
        record = shard.output(output.ordinal)
        if record is not None:
            yield output, record
        if twins:
            yield from ((output, twin) for twin in twins if twin.ordinal == output.ordinal)


def _is_to_be_tried(shard: ShardRecord, record: KeyRecord) -> bool:
    """Tell whether the failure of a key is one of an earlier session: no result, but an attempt."""
    is_late = record.is_late(KeyEvent.FAILURE_OLD)
    return shard.is_adopted and record.graph is not None and not is_late


def _try_again(state: TrackerState, records: list[KeyRecord], now: float) -> None:
    for record in records:
        state.catalog.forget(record.key, record.shard.id if record.shard else None)
        record.start_over(KeyEvent.FAILURE_OLD)
    gathering.gather_again(state, records, now)


def _is_before(event: ManifestFound | ChildFailed, shard: ShardRecord) -> bool:
    """Tell whether a shard was opened once more since that was seen: its parts come first, anew."""
    return event.opening is not None and event.opening != shard.opening


def _is_of(manifest: Manifest, shard: ShardRecord) -> bool:
    """Tell whether a manifest speaks of outputs that the shard has, or has for what it gave up."""
    rest = shard.rest
    # Of what another session made, that one may have asked for it.
    is_sure = not (rest.is_asked or rest.has_handed or shard.is_adopted or manifest.handed)
    most = len(shard.outputs) if is_sure else inf
    return all(
        0 <= output.ordinal < most
        and (output.kind is Kind.ERRED or 0 <= output.type < len(manifest.types))
        for output in manifest.outputs
    )


def _feed(
    state: TrackerState,
    shard: ShardRecord,
    starved: list[KeyRecord],
    manifest: Manifest,
    now: float,
) -> None:
    """Make again what outputs of a shard lacked, and then them."""
    for record in starved:
        state.catalog.forget(record.key, shard.id)
    objects = {name for record in starved for name in manifest.lost[record.ordinal]}
    found = losses.note_lost(state, shard, objects)
    for id in found.shards:
        error = MissingObjectError(f"the manifest of {id} is gone or damaged")
        take_failed_child(state, ChildFailed(id, Ending.UNREADABLE, error), now)
    losses.plan_again(state, starved, found.wanted, now)


def _end(state: TrackerState, shard: ShardRecord) -> None:
    """Close a shard that is done; an output of which its last manifest says nothing has erred."""
    for record in shard.outputs:
        if record.shard is shard and record.state is KeyState.PLANNED:
            if record.graph is None and shard.rest.has_handed:
                state.fail(record, KeyEvent.SHARD_FAILED, made_elsewhere(record))
                continue
            left_out = LookupError(f"{shard.id} ended without an outcome of {record.key!r}")
            state.fail(record, KeyEvent.SHARD_FAILED, InternalError.of(left_out))
    state.close(shard, ShardEvent.ENDED)


def take_failed_child(state: TrackerState, event: ChildFailed, now: float) -> None:
    """Plan again what a child should have made, or err the keys that are to blame."""
    stage = state.stages.get(event.shard.stage)
    shard = stage.shards[event.shard.index] if stage else None
    if shard is None or shard.is_late(ShardEvent.CHILD_FAILED) or _is_before(event, shard):
        return
    missing = _missing(shard)
    attempts = max((record.attempts for record in missing), default=0)
    is_out = event.ending is Ending.MEMORY
    is_unstarted = event.ending is Ending.NOT_STARTED
    if is_out and growth.grow(state, shard, missing):
        _plan_again(state, shard, event, now, has_grown=True)
    elif is_unstarted and growth.shrink(state, shard, missing):
        _plan_again(state, shard, event, now)
    elif judge(event.ending, shard.size, attempts) is Consequence.FAIL:
        for record in missing:
            state.catalog.forget(record.key, shard.id)
        error = event.error
        if is_out:
            error = growth.explained(state, shard, missing, error)
            growth.give_up(state, shard, missing)
        _fail(state, missing, error)
        _give_up(state, shard, ShardEvent.CHILD_FAILED)
    else:
        _plan_again(state, shard, event, now)


def take_failed_submission(state: TrackerState, event: SubmissionFailed, now: float) -> None:
    """Err the keys of a stage that Batch didn't take."""
    stage = state.stages.get(event.stage)
    for shard in stage.shards if stage else ():
        if not shard.is_late(ShardEvent.NOT_SUBMITTED):
            missing = [r for r in shard.outputs if r.shard is shard]
            state.forget_outputs(shard)
            _fail(state, [r for r in missing if r.state is KeyState.PLANNED], event.error)
            _give_up(state, shard, ShardEvent.NOT_SUBMITTED)


def _give_up(state: TrackerState, shard: ShardRecord, event: ShardEvent) -> None:
    assert shard.id is not None
    state.stages[shard.id.stage].tally.give_up(shard.rest.left)
    shard.rest.have_left({})
    state.close(shard, event)


def _fail(state: TrackerState, records: list[KeyRecord], error: Exception) -> None:
    for record in records:
        state.fail(record, KeyEvent.SHARD_FAILED, _naming(error, record))


def _naming(error: Exception, record: KeyRecord) -> Exception:
    """Say in the error of a job which key it stands for."""
    text = f"the value of {record.key!r} could not be made: {error}"
    if isinstance(error, JobError):
        return type(error)(text, error.job_id, error.reason, error.log)
    if not isinstance(error, InternalError):
        return error
    named = InternalError(text)
    named.__cause__ = error.__cause__
    return named


def _missing(shard: ShardRecord) -> list[KeyRecord]:
    return [r for r in shard.outputs if r.shard is shard and r.state is KeyState.PLANNED]


def _plan_again(
    state: TrackerState,
    shard: ShardRecord,
    event: ChildFailed,
    now: float,
    has_grown: bool = False,
) -> None:
    ending = event.ending
    if ending is Ending.HOST_LOST:  # or what it shares with others could not be read
        state.actions.append(WriteAgain(()))
    tasks_per_shard = narrowed(shard.size) if ending in NARROWING and not has_grown else None
    lost: list[KeyRecord] = []
    # A joining shard makes nothing. What is planned may adopt other outputs of this very shard.
    while missing := _missing(shard):
        for record in missing:
            state.catalog.forget(record.key, shard.id)
        # What has been replaced meanwhile is not made again for its last readers, and nobody here
        # has the task of what was recalled by its name.
        again = [r for r in missing if state.is_current(r) and r.graph is not None]
        _fail(state, [r for r in missing if r not in again], event.error)
        for record in again:
            record.start_over(KeyEvent.SHARD_LOST, is_own_fault(ending) and not has_grown)
        if again:
            gathering.gather_again(state, again, now, tasks_per_shard)
        lost += again
    # The new draft holds what the shard read by now, so closing it lets nothing go that is needed.
    state.close(shard, ShardEvent.CHILD_FAILED)
    for record in lost:
        state.detach(record)
        state.drop_if_unneeded(record)
