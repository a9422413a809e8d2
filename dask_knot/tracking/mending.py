"""Mending: what runs is looked at now and then, and plans that were made in ignorance are mended.

Nothing here runs anything twice but what was running, and all of it may be left undone: with nobody
there, the submitted plans still end by themselves.

- A child that runs, and has much before it or has been at one task for long, is asked to hand over
  what it hasn't begun, while slots are idle.
- Stages that haven't started and would be cut otherwise now are taken back, and planned anew.
- A shard that takes many times as long as its siblings is started a second time, if that is on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dask.utils import format_time

from dask_knot.plural import many
from dask_knot.run.names import StageId
from dask_knot.tracking import recutting
from dask_knot.tracking.actions import Decided, StartTwin, TellChildren
from dask_knot.tracking.events import StageStarted, Ticked
from dask_knot.tracking.records import ShardRecord
from dask_knot.tracking.stages import StageRecord
from dask_knot.tracking.state import TrackerState
from dask_knot.tracking.withdrawal import can_be_planned, is_waiting

#: What is handed over costs a job start: work of so many of them is worth it.
WORTH = 2.0
#: A child that says nothing for so many times what its tasks take has met a longer one.
LONG = 3.0
#: Running stages are looked at so often, in job starts.
PAUSE = 0.25


def note_start(state: TrackerState, event: StageStarted, now: float) -> None:
    """Note that all children of a stage have started."""
    stage = state.stages.get(event.stage)
    if stage is not None:
        stage.start(now)


def mend(state: TrackerState, event: Ticked, now: float) -> None:
    """Look at what runs, and decide what is to be mended; others might wait for what is."""
    pause = PAUSE * state.limits.job_start_seconds
    if not (state.running and event.is_alone) or now - state.mended < pause or state.is_leaving:
        return
    state.note_mending(now)
    for stage in _running(state):
        stage.look(now)
    means = state.durations.means
    recutting.recut(state, means, now)
    idle = idle_slots(state)
    if idle > 0:
        _ask_for_more(state, means, idle, now)
    if idle > 0 and state.mending.speculate is not None:
        _start_twins(state, state.mending.speculate, idle, now)


def idle_slots(state: TrackerState) -> int:
    """Count the slots for which there is no work: none while anything waits for one."""
    if state.drafts or state.planning is not None:
        return 0
    busy = 0
    for stage in _running(state):
        if stage.started is None:
            # What another session made may wait for stages that aren't known here.
            if any(shard.is_adopted for shard in stage.shards):
                continue
            return 0
        busy += stage.open
    return max(0, state.limits.slots - busy)


def _running(state: TrackerState) -> Iterator[StageRecord]:
    for id in sorted(state.running):
        stage = state.stages[id]
        if not is_waiting(state, stage):
            yield stage


def _ask_for_more(state: TrackerState, means: Mapping[str, float], idle: int, now: float) -> None:
    """Ask the children that have most before them to hand it over, one for each idle slot."""
    paired = {id for stage in state.running for id in state.stages[stage].pairs}
    found: list[tuple[float, StageRecord, ShardRecord, str]] = []
    for stage in _running(state):
        if stage.started is None or stage.id in paired:
            continue
        for shard in stage.shards:
            if shard.is_open and not shard.rest.is_asked and can_be_planned(shard):
                found += _excess(state, stage, shard, means, now)
    found.sort(key=lambda one: -one[0])
    told: dict[StageId, None] = {}
    for _, stage, shard, why in found[:idle]:
        shard.rest.ask()
        stage.have_orders()
        told[stage.id] = None
        text = f"shard {shard.id} is asked to hand over what it hasn't begun: {why}"
        state.actions.append(Decided(f"{text}, and {many('slot', idle)} idle"))
    state.actions += map(TellChildren, told)


def _excess(
    state: TrackerState,
    stage: StageRecord,
    shard: ShardRecord,
    means: Mapping[str, float],
    now: float,
) -> Iterator[tuple[float, StageRecord, ShardRecord, str]]:
    """Say how many seconds of work a shard should hand over, if it should, and why."""
    rest, start = shard.rest, state.limits.job_start_seconds
    tasks = rest.tasks
    if tasks < 2 or stage.started is None:
        return
    least = max(WORTH * start, state.mending.least)
    silent = now - max(stage.started, rest.news or stage.started)
    estimate = rest.estimate(means)
    mean = None if estimate is None else estimate / tasks
    unbegun = 0.0 if mean is None else mean * (tasks - 1)
    after = min(silent, unbegun)  # what it may have done since its last manifest
    if unbegun - after > least:
        yield unbegun - after, stage, shard, f"about {format_time(unbegun - after)} of work"
    elif silent > max(least, LONG * (mean or 0.0)):
        others = many("task", tasks - 1)
        yield max(silent, unbegun), stage, shard, f"{others} may wait behind one that takes long"


def _start_twins(state: TrackerState, factor: float, idle: int, now: float) -> None:
    """Start shards a second time that take many times what their siblings took."""
    for stage in _running(state):
        usual = stage.usual
        if usual is None or stage.started is None:
            continue
        elapsed = now - stage.started
        if elapsed < factor * max(usual, state.limits.job_start_seconds):
            continue
        for shard in stage.shards:
            if not idle:
                return
            if shard.is_open and shard.alive and not (shard.rest.has_twin or shard.is_adopted):
                assert shard.id is not None
                shard.rest.start_twin()
                idle -= 1
                why = f"half of its stage took {format_time(usual)}, and it {format_time(elapsed)}"
                state.actions.append(Decided(f"shard {shard.id} is started once more: {why}"))
                state.actions.append(StartTwin(shard.id))
