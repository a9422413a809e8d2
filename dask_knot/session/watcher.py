"""Looks what has become of jobs: new manifests in the store, failed children at Batch."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor

from dask_knot.batch.service import JobService
from dask_knot.errors import CorruptObjectError, MissingObjectError
from dask_knot.run import manifest, names
from dask_knot.run.names import ShardId, StageId
from dask_knot.run.store import Store
from dask_knot.session.values import ValueReader
from dask_knot.tracking.events import ChildFailed, Ending, ManifestFound

logger = logging.getLogger(__name__)

#: Up to so many stages are listed one by one: values of later plans may fill the run's folder.
LISTED_APART = 3

Found = ManifestFound | ChildFailed


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
    pool : Executor
        Fetches manifests, several at once.

    Attributes
    ----------
    job_requests : Counter
        How often jobs that are done have asked the store, by operation.
    """

    def __init__(
        self, store: Store, run: str, service: JobService, values: ValueReader, pool: Executor
    ) -> None:
        self._store = store
        self._run = run
        self._service = service
        self._values = values
        self.job_requests: Counter[str] = Counter()
        self._seen: dict[StageId, set[str]] = {}
        self._failed: list[ChildFailed] = []  # Batch is asked for them once only
        self._pool = pool

    def look(self, stages: Sequence[StageId]) -> tuple[list[Found], list[StageId]]:
        """Find out what happened since the last look, and which stages' jobs have all ended.

        Batch is asked before the store, so that a child that is over has its manifest listed: what
        a stage that has ended lacks then is lost.

        Raises
        ------
        StoreError, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError
            If the store or Batch can't be asked.
        """
        self._forget_all_but(stages)
        self._failed += [ChildFailed(shard, *ended) for shard, ended in self._service.poll(stages)]
        over = [id for id in stages if self._service.jobs[id].is_over]
        new = self._new(stages)
        found: list[Found] = [event for event in self._read(new) if event is not None]
        # Not before all of them are read: what is seen isn't looked at again.
        for name, shard in new:
            self._seen[shard.stage].add(name)
        for event in found:
            if isinstance(event, ManifestFound) and event.manifest.final:
                self.job_requests += Counter(event.manifest.requests)
        failed, self._failed = self._failed, []
        return found + failed, over

    def lost(self, shards: Iterable[ShardId]) -> list[ChildFailed]:
        """Explain children that ended, as Batch has it, but left no manifest."""
        return [ChildFailed(shard, *ended) for shard, ended in self._service.explain(list(shards))]

    def close(self) -> None:
        """End the threads that read."""
        self._pool.shutdown(cancel_futures=True)

    def _new(self, stages: Sequence[StageId]) -> list[tuple[str, ShardId]]:
        new = []
        for name in self._list(stages):
            try:
                shard, _ = names.parse_manifest(self._run, name)
            except ValueError:  # somebody else has put it there
                continue
            seen = self._seen.get(shard.stage)
            if seen is not None and name not in seen:
                new.append((name, shard))
        return new

    def _list(self, stages: Sequence[StageId]) -> list[str]:
        """List the manifests of some stages: each of a few, or all since the first of many."""
        if len(stages) > LISTED_APART:
            offset = names.before_plan(self._run, min(stages).plan)
            return self._store.list(names.manifests(self._run), offset)
        return [name for id in stages for name in self._store.list(names.of_stage(self._run, id))]

    def _read(self, new: Sequence[tuple[str, ShardId]]) -> Iterable[Found | None]:
        if len(new) < 2:
            return [self._read_one(*entry) for entry in new]
        return list(self._pool.map(self._read_one, *zip(*new, strict=True)))

    def _read_one(self, name: str, shard: ShardId) -> Found | None:
        try:
            data = self._store.get(name)
            read = manifest.decode(name, data)
        except (MissingObjectError, CorruptObjectError) as error:
            if names.parse_manifest(self._run, name)[1] is not None:
                logger.warning("a part of shard %s can't be read: %s", shard, error)
                return None  # the last manifest has its outputs as well
            return ChildFailed(shard, Ending.UNREADABLE, error)
        self._values.remember(name, data)
        return ManifestFound(shard, name, read)

    def _forget_all_but(self, stages: Sequence[StageId]) -> None:
        self._seen = {id: self._seen.get(id, set()) for id in stages}
