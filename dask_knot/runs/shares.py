"""The tasks of stages by key prefix: how many are done, of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Executor
from functools import partial

from dask_knot.errors import CorruptObjectError, MissingObjectError
from dask_knot.run.names import ManifestId, StageId
from dask_knot.run.run import Run
from dask_knot.runs.state import Progression, ShardCondition, StageView

#: Manifests that are read at most to count what stages that are under way have done by prefix.
MOST = 2000


def done_by_prefix(
    run: Run, there: Progression, manifests: Iterable[ManifestId], pool: Executor
) -> dict[StageId, Counter[str]]:
    """Count the tasks that are done, by prefix, of each stage.

    Manifests are read only of stages that are done in part.

    Raises
    ------
    StoreError
        If the store can't be read.
    """
    whole = {stage.id: stage for stage in there.stages if _is_whole(stage)}
    found = {stage.id: stage.tasks if stage.id in whole else Counter() for stage in there.stages}
    wanted = [
        id
        for id in manifests
        if not id.is_lost and id.shard.stage in found and id.shard.stage not in whole
    ][:MOST]
    for id, ran in zip(wanted, pool.map(partial(_ran, run), wanted), strict=True):
        found[id.shard.stage].update(ran)
    return found


def _is_whole(stage: StageView) -> bool:
    return {*stage.conditions} <= {ShardCondition.DONE, ShardCondition.ERRED}


def _ran(run: Run, id: ManifestId) -> dict[str, int]:
    try:
        work = run.read_manifest(id).manifest.work
    except (MissingObjectError, CorruptObjectError):
        return {}
    return {prefix: cost.tasks for prefix, cost in work.items()}
