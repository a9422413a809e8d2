"""Ends children whose work is committed and that don't end: a slot is kept, a machine paid for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from dask_knot.batch.limits import DESCRIBED_JOBS
from dask_knot.batch.service import BatchClient, StageJob
from dask_knot.run.names import ShardId, StageId
from dask_knot.tracking.events import ManifestFound

logger = logging.getLogger(__name__)

#: So many seconds after its last manifest a child has ended by itself, plugins that tear down and
#: Batch's own delay included.
AFTER = 90.0
REASON = "its work is committed, but it does not end"


class OverstayWatch:
    """Looks at each child once, a while after its last manifest was seen; again if Batch is away.

    A child that is ended so fails its array, and Batch then fails what depends on that: which would
    have waited for the child as long as it lives, and is planned again.

    Parameters
    ----------
    client : BatchClient
        Answers for jobs.
    jobs : callable
        Gives those that were submitted.
    after : float
        Seconds after the last manifest.
    """

    def __init__(
        self,
        client: BatchClient,
        jobs: Callable[[], Mapping[StageId, StageJob]],
        after: float = AFTER,
    ) -> None:
        self._client = client
        self._jobs = jobs
        self._after = after
        self._due: dict[ShardId, float] = {}
        self._lock = threading.Lock()  # manifests are noted in the loop, children looked at beside

    def note(self, found: Iterable[object], now: float) -> None:
        """Note which children have committed all of their work."""
        with self._lock:
            for event in found:
                if isinstance(event, ManifestFound) and event.manifest.final:
                    self._due.setdefault(event.shard, now + self._after)

    def due(self) -> float | None:
        """Tell when `end` should be called at the latest."""
        with self._lock:
            return next(iter(self._due.values()), None)  # they come in order

    @property
    def stages(self) -> set[StageId]:
        """Those whose children are still to be looked at."""
        with self._lock:
            return {shard.stage for shard in self._due}

    def end(self, now: float) -> None:
        """End the children whose time is over; blocks."""
        with self._lock:
            over = [shard for shard, due in self._due.items() if due <= now]
        if not over:
            return
        again: list[ShardId] = []
        try:
            for id in self._running(over):
                logger.warning("job %s is ended: %s", id, REASON)
                self._client.terminate_job(jobId=id, reason=REASON)
        except Exception as error:  # the work is there: only money is at stake
            logger.warning("children that linger could not be ended: %s", error)
            again = over
        with self._lock:
            for shard in over:
                del self._due[shard]
            self._due.update(dict.fromkeys(again, now + self._after))

    def _running(self, shards: Iterable[ShardId]) -> Iterator[str]:
        """Name those of some children that run."""
        alone: list[str] = []
        arrays: dict[str, set[str]] = {}
        jobs = self._jobs()
        for shard in shards:
            job = jobs.get(shard.stage)
            if job is None or job.is_over:
                continue
            if job.size == 1:
                alone.append(job.id)
            else:
                arrays.setdefault(job.id, set()).add(job.child(shard.index))
        for start in range(0, len(alone), DESCRIBED_JOBS):
            answer = self._client.describe_jobs(jobs=alone[start : start + DESCRIBED_JOBS])
            yield from (job["jobId"] for job in answer["jobs"] if job["status"] == "RUNNING")
        for parent, children in arrays.items():
            yield from children.intersection(self._running_children(parent))

    def _running_children(self, parent: str) -> Iterator[str]:
        token: dict[str, Any] = {}
        while True:
            page = self._client.list_jobs(arrayJobId=parent, jobStatus="RUNNING", **token)
            yield from (child["jobId"] for child in page["jobSummaryList"])
            if not page.get("nextToken"):
                return
            token = {"nextToken": page["nextToken"]}
