"""Names for people, as the dashboard has them: a stage is PLAN.STAGE, a job its place in it."""

from __future__ import annotations

from dask_knot.run.names import ShardId, StageId


def stage_name(id: StageId) -> str:
    """Name a stage."""
    return str(id)


def child_name(id: ShardId) -> str:
    """Name the job that runs a shard."""
    return f"job {id.index} of {stage_name(id.stage)}"
