"""Twins: children that were started a second time, as plain jobs, beside those that are slow.

Nobody waits for one: who commits first has made the shard, and a twin that fails changes nothing.
The thread that submits starts and ends them, the thread that looks brings them up to date; the
mapping is replaced, never changed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from dask_knot.batch.client import BatchClient, describe_jobs
from dask_knot.batch.definitions import Definitions
from dask_knot.batch.jobs import StageJob, counts_of
from dask_knot.batch.request import JobTemplate, submission
from dask_knot.batch.rules import ENDED, known_status
from dask_knot.run.names import ShardId

#: Twins that are over and still shown.
REMEMBERED = 100
#: The argument with which the program in a job is told which child it is, and that it is a twin.
CHILD = "--child"


class Twins:
    """The twins that were started here.

    Parameters
    ----------
    client : BatchClient
        Runs them.
    template : JobTemplate
        What the jobs have in common.
    definitions : Definitions
        Knows the job definitions: a twin has that of the child.

    Attributes
    ----------
    jobs : mapping of ShardId to StageJob
        Those that are remembered, the oldest first.
    """

    def __init__(
        self, client: BatchClient, template: JobTemplate, definitions: Definitions
    ) -> None:
        self._client = client
        self._template = template
        self._definitions = definitions
        self.jobs: Mapping[ShardId, StageJob] = MappingProxyType({})

    @property
    def open(self) -> dict[ShardId, StageJob]:
        """Those that haven't ended."""
        return {shard: job for shard, job in self.jobs.items() if not job.is_over}

    def start(self, shard: ShardId, like: StageJob, url: str) -> None:
        """Run a shard of the pack at `url` a second time, in a job like that of its stage."""
        command = ("python", "-m", "dask_knot.job", url, CHILD, str(shard.index))
        request = submission(self._template, twin_name(shard), command, 1)
        request["jobDefinition"] = self._definitions.arn(like.resources)
        response = self._client.submit_job(**request)
        self.adopt(shard, StageJob(str(response["jobId"]), 1, like.resources))

    def adopt(self, shard: ShardId, job: StageJob) -> None:
        """Watch a twin, and forget the oldest ones that are over."""
        over = [known for known, old in self.jobs.items() if old.is_over][:-REMEMBERED]
        kept = {known: old for known, old in self.jobs.items() if known not in over}
        self.jobs = MappingProxyType({**kept, shard: job})

    def end(self, shard: ShardId, reason: str) -> None:
        """End the twin of a shard, unless it has ended."""
        job = self.open.get(shard)
        if job is not None:
            self._client.terminate_job(jobId=job.id, reason=reason)

    def refresh(self) -> None:
        """Bring those that haven't ended up to date; without any, Batch isn't asked."""
        by_id = {job.id: job for job in self.open.values()}
        for detail in describe_jobs(self._client, list(by_id)):
            job = by_id.pop(detail["jobId"])
            job.counts = counts_of(detail, 1)
            job.is_over = known_status(detail["status"]) in ENDED
        for job in by_id.values():  # Batch forgets what ended a day or more ago
            job.is_over = True

    def of(self, shard: ShardId) -> list[str]:
        """Name the twin of a shard, if it has one."""
        return [self.jobs[shard].id] if shard in self.jobs else []

    def chosen(self, ids: Collection[str]) -> list[str]:
        """Name those of some jobs that are twins."""
        return [job.id for job in self.jobs.values() if job.id in ids]


def twin_name(shard: ShardId) -> str:
    """Name the twin of a shard, behind the name of its run: no stage has such a name."""
    return f"{shard.stage.stored}-twin-{shard.index}"
