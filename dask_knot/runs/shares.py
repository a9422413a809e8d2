"""How many tasks are done: of stages by key prefix, and of shards that aren't done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from dask_knot.errors import CorruptObjectError, MissingObjectError
from dask_knot.run.names import ManifestId, ShardId, StageId
from dask_knot.run.run import Run
from dask_knot.runs.reading import READERS, RunView
from dask_knot.runs.state import Progression, ShardCondition, StageView

#: Manifests that are read at most to count what was done of what isn't done yet.
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


def with_begun(view: RunView) -> RunView:
    """Add to what is known of a run how many tasks the shards have done that aren't done.

    Raises
    ------
    StoreError
        If the store can't be read.
    """
    done = view.marks.done
    parts = [id for id in view.survey.manifests if id.part is not None and id.shard not in done]
    begun: Counter[ShardId] = Counter()
    with ThreadPoolExecutor(READERS, "dask-knot-reading") as pool:
        wanted = parts[:MOST]
        for id, ran in zip(wanted, pool.map(partial(_ran, view.run), wanted), strict=True):
            begun[id.shard] += sum(ran.values())
    return replace(view, marks=replace(view.marks, begun=begun))


def _is_whole(stage: StageView) -> bool:
    return {*stage.conditions} <= {ShardCondition.DONE, ShardCondition.ERRED}


def _ran(run: Run, id: ManifestId) -> dict[str, int]:
    try:
        work = run.read_manifest(id).manifest.work
    except (MissingObjectError, CorruptObjectError):
        return {}
    return {prefix: cost.tasks for prefix, cost in work.items()}
