"""How many tasks are done of what isn't done yet: manifests are read for that, each once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from dask_knot.errors import CorruptObjectError, MissingObjectError
from dask_knot.run.names import ManifestId, ShardId, StageId
from dask_knot.run.run import Run
from dask_knot.runs.reading import MOST, READERS, RunView
from dask_knot.runs.state import ShardCondition, StageView


@dataclass(frozen=True, slots=True)
class PrefixCount:
    """How many tasks of a stage are done, by prefix.

    Attributes
    ----------
    done : mapping of str to int
        As many as the manifests tell of that were read.
    is_all : bool
        Whether these are all manifests of the stage. If not, more are done.
    """

    done: Mapping[str, int]
    is_all: bool = True


def with_begun(view: RunView, most: int = MOST) -> RunView:
    """Add to what is known of a run how many tasks the shards have done that aren't done.

    Raises
    ------
    StoreError
        If the store can't be read.
    """
    wanted = [id for id in view.survey.manifests if _is_of_begun(view, id)]
    return _with(view, wanted, _read(view.run, wanted[:most]))


def by_prefix(view: RunView, most: int = MOST) -> tuple[RunView, dict[StageId, PrefixCount]]:
    """Add the same, and count the tasks that are done, by prefix, of each stage.

    Raises
    ------
    StoreError
        If the store can't be read.
    """
    stages = [*view.progression().stages]
    done: dict[StageId, Counter[str]] = {s.id: Counter() for s in stages if not _is_whole(s)}
    wanted = [id for id in view.survey.manifests if not id.is_lost and id.shard.stage in done]
    wanted.sort(key=lambda id: not _is_of_begun(view, id))  # these count for the whole run, too
    ran = _read(view.run, wanted[:most])
    for id, tasks in ran.items():
        done[id.shard.stage].update(tasks)
    short = {id.shard.stage for id in wanted[most:]}
    counts = {
        stage.id: PrefixCount(done.get(stage.id, stage.tasks), stage.id not in short)
        for stage in stages
    }
    return _with(view, wanted, ran), counts


def _is_of_begun(view: RunView, id: ManifestId) -> bool:
    """Tell whether a manifest is a part of a shard that isn't done."""
    return id.part is not None and id.shard not in view.marks.done


def _with(
    view: RunView, wanted: Sequence[ManifestId], ran: Mapping[ManifestId, Mapping[str, int]]
) -> RunView:
    begun: Counter[ShardId] = Counter()
    parts = [id for id in wanted if _is_of_begun(view, id)]
    for id in parts:
        begun[id.shard] += sum(ran.get(id, {}).values())
    is_least = any(id not in ran for id in parts)
    return replace(view, marks=replace(view.marks, begun=begun, is_least=is_least))


def _is_whole(stage: StageView) -> bool:
    return {*stage.conditions} <= {ShardCondition.DONE, ShardCondition.ERRED}


def _read(run: Run, wanted: Sequence[ManifestId]) -> dict[ManifestId, dict[str, int]]:
    """Read how many tasks manifests tell of, by prefix."""
    with ThreadPoolExecutor(READERS, "dask-knot-reading") as pool:
        return dict(zip(wanted, pool.map(partial(_ran, run), wanted), strict=True))


def _ran(run: Run, id: ManifestId) -> dict[str, int]:
    try:
        work = run.read_manifest(id).manifest.work
    except (MissingObjectError, CorruptObjectError):
        return {}
    return {prefix: cost.tasks for prefix, cost in work.items()}
