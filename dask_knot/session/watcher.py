"""Looks what has become of jobs: new manifests in the store, failed children at Batch."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor

from dask_knot.batch.service import JobService
from dask_knot.errors import CorruptObjectError, MissingObjectError
from dask_knot.run.names import ManifestId, ShardId, StageId
from dask_knot.run.run import Run
from dask_knot.session.values import ValueReader
from dask_knot.tracking.events import ChildFailed, Ending, ManifestFound

logger = logging.getLogger(__name__)

ChildEvent = ManifestFound | ChildFailed


class Watcher:
    """One look at all open stages costs one listing, one call per 100 jobs, one read per manifest.

    Parameters
    ----------
    run : Run
        Where manifests appear; without patience, as it is looked at again.
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

    def __init__(self, run: Run, service: JobService, values: ValueReader, pool: Executor) -> None:
        self._run = run
        self.service = service
        self._values = values
        self.job_requests: Counter[str] = Counter()
        self._seen: dict[StageId, set[ManifestId]] = {}
        self._failed: list[ChildFailed] = []  # Batch is asked for them once only
        self._pool = pool

    def look(self, stages: Sequence[StageId]) -> tuple[list[ChildEvent], list[StageId]]:
        """Find out what happened since the last look, and which stages' jobs have all ended.

        Batch is asked before the store, so that a child that is over has its manifest listed: what
        a stage that has ended lacks then is lost.

        Raises
        ------
        StoreError, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError
            If the store or Batch can't be asked.
        """
        self._forget_all_but(stages)
        self._failed += [ChildFailed(shard, *ended) for shard, ended in self.service.poll(stages)]
        over = [id for id in stages if self.service.jobs[id].is_over]
        new = self._new(stages)
        found: list[ChildEvent] = [event for event in self._read(new) if event is not None]
        # Not before all of them are read: what is seen isn't looked at again.
        for id in new:
            self._seen[id.shard.stage].add(id)
        for event in found:
            if isinstance(event, ManifestFound) and event.manifest.final:
                self.job_requests += Counter(event.manifest.requests)
        failed, self._failed = self._failed, []
        return found + failed, over

    def lost(self, shards: Iterable[ShardId]) -> list[ChildFailed]:
        """Explain children that ended, as Batch has it, but left no manifest."""
        return [ChildFailed(shard, *ended) for shard, ended in self.service.explain(list(shards))]

    def close(self) -> None:
        """End the threads that read."""
        self._pool.shutdown(cancel_futures=True)

    def _new(self, stages: Sequence[StageId]) -> list[ManifestId]:
        return [
            id
            for id in self._run.list_manifests(stages)
            if id.shard.stage in self._seen
            and id not in self._seen[id.shard.stage]
            and not id.is_lost
        ]

    def _read(self, new: Sequence[ManifestId]) -> Iterable[ChildEvent | None]:
        return map(self._read_one, new) if len(new) < 2 else self._pool.map(self._read_one, new)

    def _read_one(self, id: ManifestId) -> ChildEvent | None:
        try:
            commit = self._run.read_manifest(id)
        except (MissingObjectError, CorruptObjectError) as error:
            if id.part is not None:
                logger.warning("a part of shard %s can't be read: %s", id.shard, error)
                return None  # the last manifest has its outputs as well
            return ChildFailed(id.shard, Ending.UNREADABLE, error)
        self._values.remember(commit.name, commit.data)
        return ManifestFound(id.shard, commit.name, commit.manifest)

    def _forget_all_but(self, stages: Sequence[StageId]) -> None:
        self._seen = {id: self._seen.get(id, set()) for id in stages}
