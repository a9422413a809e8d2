"""Looks what has become of jobs: new manifests in the store, failed children at Batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from dask_knot.batch.service import JobService
from dask_knot.driving.values import ValueReader
from dask_knot.errors import StoreError
from dask_knot.store import manifest, names
from dask_knot.store.names import ShardId, StageId
from dask_knot.store.store import Store
from dask_knot.tracking.events import ChildFailed, Ending, ManifestFound

#: Manifests that are fetched at once.
AT_ONCE = 8


class Watcher:
    """One look at all open stages costs one listing, one call per 100 jobs, one read per manifest.

    Parameters
    ----------
    store : Store
        Where manifests appear.
    run : str
        The run they belong to.
    service : JobService
        Knows the jobs.
    values : ValueReader
        Keeps the manifests for the values in them.

    Attributes
    ----------
    job_requests : Counter
        How often jobs that are done have asked the store, by operation.
    """

    def __init__(self, store: Store, run: str, service: JobService, values: ValueReader) -> None:
        self._store = store
        self._run = run
        self._service = service
        self._values = values
        self.job_requests: Counter[str] = Counter()
        self._seen: dict[StageId, set[str]] = {}
        self._pool = ThreadPoolExecutor(AT_ONCE, "dask-knot-manifests")

    def look(self, stages: Sequence[StageId]) -> list[ManifestFound | ChildFailed]:
        """Find out what happened since the last look.

        Batch is asked before the store, so that a child that is over has its manifest listed.

        Raises
        ------
        StoreError, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError
            If the store or Batch can't be asked.
        """
        self._forget_all_but(stages)
        failed = self._service.poll(stages)
        found: list[ManifestFound | ChildFailed] = []
        found += self._read(self._new(stages))
        for event in found:
            if isinstance(event, ManifestFound) and event.manifest.final:
                self.job_requests += Counter(event.manifest.requests)
        found += [ChildFailed(shard, *ended) for shard, ended in failed]
        return found

    def lost(self, shards: Iterable[ShardId]) -> list[ChildFailed]:
        """Explain children that ended, as Batch has it, but left no manifest."""
        return [ChildFailed(shard, *self._service.explain(shard)) for shard in shards]

    def close(self) -> None:
        """End the threads that read."""
        self._pool.shutdown(cancel_futures=True)

    def _new(self, stages: Sequence[StageId]) -> list[tuple[str, ShardId]]:
        offset = names.before_plan(self._run, min(stages).plan)
        new = []
        for name in self._store.list(names.manifests(self._run), offset):
            shard, _ = names.parse_manifest(self._run, name)
            seen = self._seen.get(shard.stage)
            if seen is not None and name not in seen:
                seen.add(name)
                new.append((name, shard))
        return new

    def _read(self, new: Sequence[tuple[str, ShardId]]) -> Iterable[ManifestFound | ChildFailed]:
        if len(new) < 2:
            return [self._read_one(*entry) for entry in new]
        return list(self._pool.map(self._read_one, *zip(*new, strict=True)))

    def _read_one(self, name: str, shard: ShardId) -> ManifestFound | ChildFailed:
        try:
            data = self._store.get(name)
            read = manifest.decode(name, data)
        except StoreError as error:
            return ChildFailed(shard, Ending.UNREADABLE, error)
        self._values.remember(name, data)
        return ManifestFound(shard, name, read)

    def _forget_all_but(self, stages: Sequence[StageId]) -> None:
        self._seen = {id: self._seen.get(id, set()) for id in stages}
