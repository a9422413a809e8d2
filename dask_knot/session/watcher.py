"""Looks what has become of jobs: new manifests in the store, failed children at Batch."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import replace

from dask_knot.batch.service import JobService
from dask_knot.errors import CorruptObjectError, MissingObjectError
from dask_knot.run.doorbell import Doorbell
from dask_knot.run.names import ManifestId, ShardId, StageId
from dask_knot.run.run import Run
from dask_knot.session.claims import Claims
from dask_knot.session.costs import CostSheet
from dask_knot.session.graveyard import Graveyard
from dask_knot.session.known import KnownManifests, is_last
from dask_knot.session.outages import tolerate
from dask_knot.session.spending import Spending
from dask_knot.session.values import ValueReader
from dask_knot.tracking.events import ChildFailed, Ending, ManifestFound

logger = logging.getLogger(__name__)

#: Names of objects that one request lists.
LISTED_AT_ONCE = 1000

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
    opening : callable, optional
        Of a named run, since which opening something is awaited of a shard, or None: only what is
        told of these is read. They may have been done before, and there may be others who look.
    costs : CostSheet, optional
        Of a named run, adds up what tasks have cost.

    Attributes
    ----------
    job_requests : Counter
        How often jobs that are done have asked the store, by operation.
    spending : Spending or None
        Counts what jobs cost.
    doorbell : Doorbell or None
        Rings when a look is worth it, if there is one: whoever opens it closes it.
    """

    def __init__(
        self,
        run: Run,
        service: JobService,
        values: ValueReader,
        pool: Executor,
        opening: Callable[[ShardId], int | None] | None = None,
        costs: CostSheet | None = None,
    ) -> None:
        self._run = run
        self.service = service
        self._values = values
        self.job_requests: Counter[str] = Counter()
        self._known = KnownManifests(opening)
        self._claims = Claims(run)
        self._graves = None if opening is None else Graveyard(run.record)
        self._failed: dict[ShardId, ChildFailed] = {}  # Batch is asked for them once only
        self._told: dict[ShardId, int] = {}  # for which opening
        self._done: set[ShardId] = set()  # those with a last manifest, at the last look
        self._costs = costs
        self.spending: Spending | None = None
        self.doorbell: Doorbell | None = None
        self._pool = pool
        self._apart: StageId | None = None  # each stage is listed apart, while this is the first

    def look(self, stages: Sequence[StageId]) -> tuple[list[ChildEvent], list[StageId]]:
        """Find out what happened since the last look, and which stages' jobs have all ended.

        Batch is asked before the store, so that a child that is over has its manifest listed: what
        a stage that has ended lacks then is lost.

        Raises
        ------
        StoreError, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError
            If the store or Batch can't be asked.
        """
        ended = [ChildFailed(shard, *how) for shard, how in self.service.poll(stages)]
        self._failed |= {event.shard: event for event in ended}
        jobs = {id: self.service.jobs[id] for id in stages}
        over = [id for id, job in jobs.items() if job.is_over]
        self._known.begin_look(stages, {id for id, job in jobs.items() if job.is_adopted})
        listed = self._list(stages)
        new = self._known.new(listed)
        found: list[ChildEvent] = [event for event in self._read(new) if event is not None]
        # Not before all of them are read: what is seen isn't looked at again.
        self._known.note(new)
        for event in found:
            if isinstance(event, ManifestFound) and event.manifest.final:
                self.job_requests += Counter(event.manifest.requests)
        if self.spending is not None:
            self.spending.take(found)
        if self._costs is not None:
            self._costs.take(found)
            if self._costs.is_due:
                tolerate("the costs of tasks could not be saved", self._costs.write)
        self._done = {id.shard for id in listed if is_last(id)}
        self._bury([event for event in ended if event.shard not in self._done])
        return found + self._newly_failed(), over

    def lost(self, shards: Iterable[ShardId]) -> list[ChildFailed]:
        """Explain children that ended, as in Batch, but left no manifest.

        In a named run something may be awaited of a shard only since the last look began: a
        manifest that was there already is read at the next one.
        """
        if self._graves is not None:
            shards = [shard for shard in shards if shard not in self._done]
        openings = {shard: self._known.opening(shard) for shard in shards}
        seen = [shard for shard, opening in openings.items() if opening is not None]
        explained = self.service.explain(seen)
        lost = [ChildFailed(shard, *how, openings[shard]) for shard, how in explained]
        self._bury(lost)
        return lost

    def open_doorbell(self) -> Doorbell | None:
        """Let it ring from now on when a manifest has appeared, where that is possible."""
        self.doorbell = self._run.doorbell()
        return self.doorbell

    def close(self) -> None:
        """End the threads that read."""
        self._pool.shutdown(cancel_futures=True)

    def _newly_failed(self) -> list[ChildFailed]:
        """Tell of children that failed, once for each opening of their shards in a named run.

        Of a shard of which nothing is awaited yet it is told when something is.
        """
        found = []
        for shard, event in [*self._failed.items()]:
            opening = self._known.opening(shard)
            if opening is not None and self._told.get(shard) != opening:
                found.append(replace(event, opening=opening))
                self._told[shard] = opening
        if self._graves is None:
            self._failed, self._told = {}, {}
        return found

    def _list(self, stages: Sequence[StageId]) -> list[ManifestId]:
        """List what there is of some stages, in few requests.

        One listing has all since the first of them: in a named run perhaps all that was ever made.
        """
        if self.doorbell is not None:  # before they are listed: nothing comes in between
            self.doorbell.attend(map(str, stages))
        first = min(stages, default=None)
        if self._apart is not None and self._apart == first:
            return [id for stage in stages for id in self._run.list_manifests([stage])]
        found = self._run.list_manifests(stages)
        is_much = self._graves is not None and len(found) > LISTED_AT_ONCE * len(stages)
        self._apart = first if is_much else None
        return found

    def _bury(self, failed: Sequence[ChildFailed]) -> None:
        """Tell other sessions of a named run; that may take its time."""
        if self._graves is not None:
            for event in failed:
                self._pool.submit(self._graves.bury, event)

    def _read(self, new: Sequence[ManifestId]) -> Iterable[ChildEvent | None]:
        return map(self._read_one, new) if len(new) < 2 else self._pool.map(self._read_one, new)

    def _read_one(self, id: ManifestId) -> ChildEvent | None:
        is_old = self._known.is_old(id)
        if id.is_lost:
            found = self._graves and self._graves.read(id.shard, is_old)
            return found and replace(found, opening=self._known.looked(id.shard))
        try:
            commit = self._run.read_manifest(id)
        except (MissingObjectError, CorruptObjectError) as error:
            if id.part is not None:
                logger.warning("a part of shard %s can't be read: %s", id.shard, error)
                return None  # the last manifest has its outputs as well
            return ChildFailed(id.shard, Ending.UNREADABLE, error, self._known.looked(id.shard))
        self._values.remember(commit.name, commit.data)
        manifest = self._claims.settle(id.shard, commit.manifest)
        opening = self._known.looked(id.shard)
        return ManifestFound(id.shard, commit.name, manifest, is_old, opening)
