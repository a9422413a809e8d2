"""What shards have committed: their last manifests, or the parts of those that aren't done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice

from dask_knot.errors import StoreError
from dask_knot.run.manifest import Manifest
from dask_knot.run.names import ManifestId, ShardId
from dask_knot.run.run import Run
from dask_knot.run.survey import Survey
from dask_knot.runs.reading import READERS


def read_commits(
    run: Run, survey: Survey, shards: Iterable[ShardId], most: int | None = None
) -> Iterator[list[Manifest]]:
    """Read for each shard the manifests that tell of its outputs, without those that can't be read.

    Parameters
    ----------
    run : Run
        Has the manifests.
    survey : Survey
        Which there are.
    shards : iterable of ShardId
        The shards.
    most : int, optional
        So many parts are read at most, of the first shards; None: all.
    """
    done, parts = survey.done, defaultdict[ShardId, list[ManifestId]](list)
    for id in survey.manifests:
        if id.part is not None and id.shard not in done:
            parts[id.shard].append(id)
    wanted = [([ManifestId(one, None)] if one in done else parts.get(one, [])) for one in shards]
    if most is not None:
        wanted = _cut(wanted, most)
    with ThreadPoolExecutor(READERS, "dask-knot-reading") as pool:
        found = pool.map(partial(_read, run), [id for ids in wanted for id in ids])
        for ids in wanted:
            yield [one for one in islice(found, len(ids)) if one is not None]


def _cut(wanted: Iterable[list[ManifestId]], most: int) -> list[list[ManifestId]]:
    found, left = [], most
    for ids in wanted:
        parts = sum(id.part is not None for id in ids)
        found.append(ids[:left] if parts else ids)
        left -= min(left, parts)
    return found


def _read(run: Run, id: ManifestId) -> Manifest | None:
    try:
        return run.read_manifest(id).manifest
    except StoreError:  # it has expired, or is damaged: the others are told
        return None
