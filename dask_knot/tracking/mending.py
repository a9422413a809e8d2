"""Mending: what runs is looked at now and then, and plans that were made in ignorance are mended.

Nothing here runs anything twice but what was running, and all of it may be left undone: with nobody
there, the submitted plans still end by themselves.

- A child that runs, and has much before it or has been at one task for long, is asked to hand over
  what it hasn't begun, while slots are idle.
- Stages that haven't started and would be cut otherwise now are taken back, and planned anew.
- A shard that takes many times as long as its siblings is started a second time, if that is on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from dask.utils import format_time

from dask_knot.plural import many
from dask_knot.run.names import StageId
from dask_knot.tracking import recutting
from dask_knot.tracking.actions import Decided, StartTwin, TellChildren
from dask_knot.tracking.events import StageStarted, Ticked
from dask_knot.tracking.records import ShardRecord
from dask_knot.tracking.slots import idle_slots, ready_stages
from dask_knot.tracking.stages import StageRecord
from dask_knot.tracking.state import TrackerState
from dask_knot.tracking.withdrawal import can_be_planned, with_followers
from dask_knot.tracking.words import child_name, stage_name

#: What is handed over costs a job start: work of so many of them is worth it.
WORTH = 2.0
#: A child that says nothing for so many times what its tasks take has met a longer one.
LONG = 3.0
#: Running stages are looked at so often, in job starts; and in seconds for each shard that is open,
#: which costs the client about a hundredth of its time.
PAUSE = 0.25
PAUSE_FOR_SHARD = 2e-4
#: A child looks for what it is asked every four intervals of parts, at most: who hasn't answered
#: after so many won't soon.
ANSWERED = 6.0


def note_start(state: TrackerState, event: StageStarted, now: float) -> None:
    """Note that all children of a stage have started."""
    stage = state.stages.get(event.stage)
    if stage is not None and stage.started is None:
        stage.start(now)
        if stage.ready is not None and len(stage.shards) <= state.limits.slots:
            state.note_start(now - stage.ready)  # none of them waited for a slot


def is_due(state: TrackerState, now: float) -> bool:
    """Tell whether it is time to look at what runs."""
    pause = max(PAUSE * state.job_start, PAUSE_FOR_SHARD * state.open_shards)
    return bool(state.running) and now - state.mended >= pause and not state.is_leaving


def mend(state: TrackerState, event: Ticked, now: float) -> None:
    """Look at what runs, and decide what is to be mended; others might wait for what is."""
    if not (event.is_alone and is_due(state, now)):
        return
    state.note_mending(now)
    for stage in ready_stages(state):
        stage.look(now)
    recutting.recut(state, now)
    idle = idle_slots(state)
    if idle > 0:
        _ask_for_more(state, idle, now)
    if idle > 0 and state.mending.speculate is not None:
        _start_twins(state, state.mending.speculate, idle, now)


class _Excess(NamedTuple):
    """What a shard should hand over: so many seconds of work, and why."""

    seconds: float
    stage: StageRecord
    shard: ShardRecord
    why: str


def _ask_for_more(state: TrackerState, idle: int, now: float) -> None:
    """Ask the children that have most before them to hand it over, one for each idle slot.

    Those that were asked before, and haven't answered yet, are some of these.
    """
    paired = {id for stage in state.running for id in state.stages[stage].pairs}
    found: list[_Excess] = []
    for stage in ready_stages(state):
        if stage.started is not None and stage.id not in paired and not stage.is_narrow:
            for shard in stage.shards:
                if shard.is_open and not shard.rest.is_asked:
                    found += _excess(state, stage, shard, now)
    found.sort(key=lambda one: -one.seconds)
    behind = {id: _planning(state, id) for id in {one.stage.id for one in found}}
    worth = (one for one in found if one.seconds > behind[one.stage.id])
    can_be = (one for one in worth if can_be_planned(one.shard))
    told: dict[StageId, list[_Excess]] = {}
    for one in islice(can_be, max(0, idle - _unanswered(state, now))):
        one.shard.rest.ask(now)
        one.stage.have_orders()
        told.setdefault(one.stage.id, []).append(one)
    for id, asked in told.items():
        state.actions += (TellChildren(id), Decided(_words(id, asked, idle)))


def _planning(state: TrackerState, stage: StageId) -> float:
    """Tell for how long all that follows a stage would be planned again, at most."""
    _, *followers = with_followers(state, {stage})
    shards = (shard for id in followers for shard in state.stages[id].shards)
    return recutting.PLANNING * sum(shard.size for shard in shards)


def _unanswered(state: TrackerState, now: float) -> int:
    """Count the children that were asked a moment ago, and may hand over soon."""
    stages = (state.stages[id] for id in state.running if state.stages[id].has_orders)
    return sum(
        shard.is_open and shard.rest.is_unanswered(now - ANSWERED * state.mending.least)
        for stage in stages
        for shard in stage.shards
    )


def _words(stage: StageId, asked: Sequence[_Excess], idle: int) -> str:
    first = asked[0]
    assert first.shard.id is not None
    who = child_name(first.shard.id)
    if len(asked) > 1:
        who = f"{many('job', len(asked))} of {stage_name(stage)}"
    why = f"{'each ' if len(asked) > 1 else ''}has at most {first.why}"
    text = (
        f"{who} {'are' if len(asked) > 1 else 'is'} asked to hand over tasks that haven't started: "
    )
    return f"{text}{why}, and {many('slot', idle)} {'is' if idle == 1 else 'are'} idle"


def _excess(
    state: TrackerState,
    stage: StageRecord,
    shard: ShardRecord,
    now: float,
) -> Iterator[_Excess]:
    """Say how many seconds of work a shard should hand over, if it should, and why."""
    rest, start = shard.rest, state.job_start
    tasks = rest.tasks
    if tasks < 2 or stage.started is None:
        return
    least = max(WORTH * start, state.mending.least)
    silent = now - max(stage.started, rest.news or stage.started)
    estimate = rest.estimate(state.durations)
    mean = None if estimate is None else estimate / tasks
    unbegun = 0.0 if mean is None else mean * (tasks - 1)
    left = unbegun - min(silent, unbegun)  # some of it may be done since its last manifest
    if left > least:
        yield _Excess(left, stage, shard, f"{format_time(left)} of work left")
    elif silent > max(least, LONG * (mean or 0.0)):
        behind = f"{many('task', tasks - 1)} waiting behind a long one"
        yield _Excess(max(silent, unbegun), stage, shard, behind)


def _start_twins(state: TrackerState, factor: float, idle: int, now: float) -> None:
    """Start shards a second time that take many times what their siblings took."""
    for stage in ready_stages(state):
        usual = stage.usual
        if usual is None or stage.started is None:
            continue
        elapsed = now - stage.started
        if elapsed < factor * max(usual, state.job_start):
            continue
        for shard in stage.shards:
            if not idle:
                return
            if shard.is_open and shard.alive and not (shard.rest.has_twin or shard.is_adopted):
                assert shard.id is not None
                shard.rest.start_twin()
                idle -= 1
                took = (
                    f"{format_time(elapsed)} so far, and half of its stage took "
                    f"{format_time(usual)}"
                )
                text = f"{child_name(shard.id)} is started a second time: it has run for {took}"
                state.actions.append(Decided(text))
                state.actions.append(StartTwin(shard.id))
