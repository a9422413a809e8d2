"""Slots: which stages may run, how many slots have work, and how many have none."""

from __future__ import annotations

from collections.abc import Iterator

from dask_knot.tracking.stages import StageRecord
from dask_knot.tracking.state import TrackerState


def is_waiting(state: TrackerState, stage: StageRecord) -> bool:
    """Tell whether no child of a stage can have started, as another stage isn't done."""
    pairs = (state.stages[id] for id in stage.pairs if id in state.stages)
    if any(other.open < len(other.shards) for other in pairs):
        return False  # child i starts when child i there is done
    return not state.running.isdisjoint(stage.waits)


def ready_stages(state: TrackerState) -> Iterator[StageRecord]:
    """List the stages that wait for no other one, in the order of their plans."""
    for id in sorted(state.running):
        stage = state.stages[id]
        if not is_waiting(state, stage):
            yield stage


def free_slots(state: TrackerState) -> int:
    """Count the slots for which no job was submitted that could run."""
    return max(0, state.limits.slots - sum(stage.open for stage in ready_stages(state)))


def idle_slots(state: TrackerState) -> int:
    """Count the slots for which there is no work: none while anything waits for one."""
    if state.drafts or state.planning is not None:
        return 0
    # What another session made may wait for stages that aren't known here.
    unstarted = (
        stage.started is None and not any(shard.is_adopted for shard in stage.shards)
        for stage in ready_stages(state)
    )
    return 0 if any(unstarted) else free_slots(state)
