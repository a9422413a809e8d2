"""Stages of a run by the names that people give them."""

from __future__ import annotations

from dask_knot.errors import ConfigurationError
from dask_knot.run.names import ShardId, StageId, parse_shard, parse_stage
from dask_knot.runs.reading import RunView

#: So many stages are named to who asks for one that there isn't.
NAMED = 8


def named_stage(view: RunView, text: str) -> StageId | None:
    """Tell which stage a text names, as ``1.2`` or ``stage 1.2``; None if it is something else.

    Raises
    ------
    ConfigurationError
        If the run has no such stage.
    """
    found = parse_stage(text)
    if found is not None:
        _check(view, found)
    return found


def named_shard(view: RunView, text: str) -> ShardId | None:
    """Tell which shard a text names, as ``1.2:7``; None if it is something else.

    Raises
    ------
    ConfigurationError
        If the run has no such stage, or the stage no such shard.
    """
    found = parse_shard(text)
    if found is None:
        return None
    shards = _check(view, found.stage)
    if found.index >= shards:
        raise ConfigurationError(
            f"{found.stage} of run {view.run.name} has no shard {found.index}: its shards are "
            f"0 to {shards - 1}"
        )
    return found


def _check(view: RunView, wanted: StageId) -> int:
    """Give the number of shards of a stage."""
    there = {
        StageId(plan.number, number): len(stage.outputs)
        for plan in view.plans
        for number, stage in enumerate(plan.stages)
    }
    if wanted not in there:
        some = ", ".join(map(str, [*there][-NAMED:])) or "none"
        what = "The last stages are" if len(there) > NAMED else "Its stages are"
        raise ConfigurationError(f"run {view.run.name} has no {wanted}. {what}: {some}")
    return there[wanted]
