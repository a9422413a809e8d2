"""Stages that haven't started and would be cut otherwise by now: they are planned anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, inf

from dask.utils import format_time

from dask_knot.planning import Limits
from dask_knot.planning.sizing import count_columns
from dask_knot.plural import many
from dask_knot.tracking import growth, withdrawal
from dask_knot.tracking.actions import Decided
from dask_knot.tracking.durations import Durations
from dask_knot.tracking.slots import is_waiting
from dask_knot.tracking.stages import StageRecord
from dask_knot.tracking.state import TrackerState
from dask_knot.tracking.words import stage_name

#: Numbers that are off by less than this factor were good enough.
OFF = 3.0
#: Taking stages back must save so many job starts of time.
WORTH = 2.0
#: Planning a task again takes the client so many seconds, about.
PLANNING = 5e-5


@dataclass(frozen=True, slots=True)
class Cut:
    """A stage as it was cut, by what is known now."""

    shards: int
    tasks: int
    seconds: float
    longest: float

    def lasts(self, limits: Limits) -> float:
        """Tell how long it takes, its job starts included."""
        rounds = ceil(self.shards / limits.slots)
        work = max(self.longest, self.seconds / limits.slots)
        return rounds * limits.job_start_seconds + work


def recut(state: TrackerState, now: float) -> None:
    """Take back the stages that were cut on wrong numbers, and have not started for a while."""
    waiting = _waiting(state)
    short = {stage.id for stage in waiting if growth.is_short(state, stage)}
    first = short or {stage.id for stage in waiting if _is_off(stage, state.durations)}
    ids = withdrawal.with_followers(state, first) if first else []
    stages = [state.stages[id] for id in ids]
    if not stages or not all(_may_go(state, stage) for stage in stages):
        return
    if _starts_in(state, stages, now) < state.limits.job_start_seconds / 2:
        return  # some may start before they are ended
    gain, text = (1.0, "their tasks need more memory") if short else _gain(state, stages)
    if gain <= 0:
        return
    withdrawal.withdraw(state, ids, now)
    what = many("stage", len(ids)) if len(ids) > 1 else stage_name(ids[0])
    are = "are" if len(ids) > 1 else "is"
    state.actions.append(Decided(f"{what} that had not started {are} planned again: {text}"))


def _waiting(state: TrackerState) -> list[StageRecord]:
    stages = (state.stages[id] for id in sorted(state.running))
    return [stage for stage in stages if is_waiting(state, stage)]


def _may_go(state: TrackerState, stage: StageRecord) -> bool:
    """Tell whether a stage can be planned anew as a whole; other sessions' can't."""
    may_be = is_waiting(state, stage) and not stage.is_narrow
    return may_be and all(
        not shard.is_adopted and withdrawal.can_be_planned(shard) for shard in stage.shards
    )


def _is_off(stage: StageRecord, known: Durations) -> bool:
    """Tell whether a stage was planned for other seconds than its tasks are known to take now."""
    planned = sum(shard.rest.planned for shard in stage.shards)
    now = _seconds(stage, known)
    if now is None:
        return False
    unknown = any(shard.rest.unknown for shard in stage.shards)
    return unknown or not planned / OFF <= now <= planned * OFF


def _seconds(stage: StageRecord, known: Durations) -> float | None:
    found = [shard.rest.estimate(known) for shard in stage.shards if shard.is_open]
    return None if None in found else sum(seconds or 0.0 for seconds in found)


def _starts_in(state: TrackerState, stages: Sequence[StageRecord], now: float) -> float:
    """Tell when the first of some stages may start, at the earliest that can be known."""
    mine = {stage.id for stage in stages}
    soonest = float("inf")
    for stage in stages:
        before = (stage.waits & state.running) - mine
        if not before:
            continue
        lasts = [_lasts_on(state.stages[id], state.durations, now) for id in before]
        soonest = min(soonest, max(lasts))
    return soonest


def _lasts_on(stage: StageRecord, known: Durations, now: float) -> float:
    """Tell how long a stage goes on: as long as its longest shard, if it is known."""
    if stage.started is None:
        return float("inf")
    lasts = 0.0
    for shard in stage.shards:
        if shard.is_open:
            silent = now - max(stage.started, shard.rest.news or stage.started)
            seconds = shard.rest.estimate(known)
            lasts = max(lasts, silent if seconds is None else seconds - silent)
    return lasts


def _gain(state: TrackerState, stages: Sequence[StageRecord]) -> tuple[float, str]:
    """Tell how many seconds another cut of stages that follow each other would save, and why."""
    limits = replace(state.limits, job_start_seconds=state.job_start)
    cuts = []
    for stage in stages:
        tasks = sum(shard.size for shard in stage.shards)
        if not tasks:
            continue  # it stands between others
        seconds = [shard.rest.estimate(state.durations) for shard in stage.shards]
        if None in seconds:
            return 0.0, ""
        known = [one or 0.0 for one in seconds]
        cuts.append(Cut(len(known), tasks, sum(known), max(known)))
    tasks = sum(cut.tasks for cut in cuts)
    worth = WORTH * limits.job_start_seconds + PLANNING * tasks
    before, after, jobs = sum(cut.lasts(limits) for cut in cuts), *best(cuts, limits)
    shards = sum(cut.shards for cut in cuts)
    seconds = format_time(sum(cut.seconds for cut in cuts))
    text = f"{many('task', tasks)} turn out to take {seconds}"
    if jobs != shards:
        text += f", which {many('job', jobs)} can do instead of {shards}"
    saves_jobs = 4 * jobs <= shards and 4 * (shards - jobs) >= limits.slots
    return (max(before - after - worth, float(saves_jobs)), text)


def best(cuts: Sequence[Cut], limits: Limits) -> tuple[float, int]:
    """Tell how long some stages would take at best, and in how many jobs.

    Each may be cut by itself, or be one shard together with those before it.
    """
    lasts, jobs, work = 0.0, 0, 0.0
    # The best first stage of a shard of several: how long what is before it takes, without its own
    # work and that of all before it. Plans of a thousand stages are looked at again and again.
    joined = (inf, 0)
    for cut in cuts:
        joined = min(joined, (lasts - work, jobs))
        work += cut.seconds
        together = (joined[0] + work + limits.job_start_seconds, joined[1] + 1)
        columns = count_columns(cut.seconds, cut.tasks, limits)
        alone = Cut(columns, cut.tasks, cut.seconds, max(cut.seconds / columns, 0.0))
        lasts, jobs = min(together, (lasts + alone.lasts(limits), jobs + columns))
    return lasts, jobs
