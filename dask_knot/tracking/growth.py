"""The growth of jobs: what ran out of memory is planned again with more, as far as it may be.

Beyond that it is recovered as after other endings that a task may have caused (`recovery`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dask.utils import format_bytes, key_split

from dask_knot.errors import JobError
from dask_knot.tracking.actions import Decided
from dask_knot.tracking.durations import PrefixAndCode
from dask_knot.tracking.records import KeyRecord, ShardRecord
from dask_knot.tracking.stages import StageRecord
from dask_knot.tracking.state import TrackerState
from dask_knot.tracking.words import child_name

# Prefixes that are named; the others are counted.
_NAMED = 3


def grow(state: TrackerState, shard: ShardRecord, missing: Sequence[KeyRecord]) -> bool:
    """See to it that what a shard still has to make is planned with more memory, if it may be."""
    had, needs = _stage(state, shard).resources, state.memory
    kinds = _kinds(state, shard, missing)
    memory = needs.allowance.more(had, needs.base(_asked(state, missing), kinds))
    if memory is None or had.memory is None or not missing:
        return False
    # Of jobs that ran out one after another, the first says so for all.
    if needs.grow(kinds, had.memory, memory):
        before, now = format_bytes(had.memory), format_bytes(memory)
        assert shard.id is not None
        text = (
            f"{_names(kinds)} ran out of memory with {before} ({child_name(shard.id)}): what "
            f"was lost runs again with {now}, as do other tasks of that name from now on"
        )
        state.actions.append(Decided(text, is_news=True))
    return True


def shrink(state: TrackerState, shard: ShardRecord, missing: Sequence[KeyRecord]) -> bool:
    """After jobs that were given more have never started, let none have so much any more.

    That no machine is large enough isn't known beforehand. What they were to make is planned with
    what there was before, and errs for want of memory; siblings that don't need more don't err.
    """
    had, needs = _stage(state, shard).resources.memory, state.memory
    kinds = _kinds(state, shard, missing)
    # What earlier sessions had may be more than there is here.
    before = max((needs.short().get(kind, 0) for kind in kinds), default=0)
    before = before or _asked(state, missing)
    known = max([before, *(needs.enough().get(kind, 0) for kind in kinds)])
    if had is None or not before or had <= known:
        return False
    if needs.allowance.most != known:
        needs.allow(replace(needs.allowance, most=known))
        text = f"a job with {format_bytes(had)} never started: no job gets more than"
        state.actions.append(Decided(f"{text} {format_bytes(known)} from now on", is_news=True))
    return True


def give_up(state: TrackerState, shard: ShardRecord, missing: Sequence[KeyRecord]) -> None:
    """Note that a task is to blame that ran out of all the memory that it may have."""
    had = _stage(state, shard).resources.memory
    if had is not None:
        state.memory.give_up(_kinds(state, shard, missing), had)


def explained(
    state: TrackerState, shard: ShardRecord, missing: Sequence[KeyRecord], error: Exception
) -> Exception:
    """Say in the error of a job that ran out of memory what was tried."""
    had, asked = _stage(state, shard).resources.memory, _asked(state, missing)
    if not isinstance(error, JobError) or not had or had <= asked:
        return error
    why = state.memory.allowance.words(had)
    text = (
        f"{error}\nIt had {format_bytes(asked)} at first and {format_bytes(had)} in the end, {why}"
    )
    return type(error)(text, error.job_id, error.reason, error.log)


def note_enough(state: TrackerState, shard: ShardRecord, prefixes: Sequence[str]) -> None:
    """Note that tasks ran in the job of a shard."""
    if state.memory.is_any:
        kinds = [(prefix, state.durations.code(prefix)) for prefix in prefixes]
        state.memory.note(kinds, _stage(state, shard).resources.memory)


def is_short(state: TrackerState, stage: StageRecord) -> bool:
    """Tell whether a stage was planned with less memory than is known by now to be needed."""
    if not state.memory.is_any:
        return False
    left = {prefix for shard in stage.shards if shard.is_open for prefix in shard.rest.left}
    kinds = [(prefix, state.durations.code(prefix)) for prefix in sorted(left)]
    return state.memory.applied(stage.resources, kinds) != stage.resources


def _stage(state: TrackerState, shard: ShardRecord) -> StageRecord:
    assert shard.id is not None
    return state.stages[shard.id.stage]


def _kinds(
    state: TrackerState, shard: ShardRecord, missing: Sequence[KeyRecord]
) -> list[PrefixAndCode]:
    """Name what may have taken the memory: the tasks that aren't known to have run."""
    left = [prefix for prefix, count in (shard.rest.left or shard.rest.mix).items() if count]
    prefixes = dict.fromkeys([*left, *(key_split(record.key) for record in missing)])
    return [(prefix, state.durations.code(prefix)) for prefix in prefixes]


def _asked(state: TrackerState, missing: Sequence[KeyRecord]) -> int:
    """Give the memory that was asked for, by the user, for what a shard still has to make."""
    needs = (
        record.graph.resources.get(record.key, state.default)
        for record in missing
        if record.graph is not None
    )
    return max((one.memory or 0 for one in needs), default=0)


def _names(kinds: Sequence[PrefixAndCode]) -> str:
    names = [repr(prefix) for prefix, _ in kinds]
    more = len(names) - _NAMED
    listed = ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"tasks of {listed}"
