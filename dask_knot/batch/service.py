"""Stages to array jobs: submit, poll, terminate, through boto3's Batch calls and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, cast

from dask_knot.batch.client import BatchClient, children, describe_jobs, job_under_way, running
from dask_knot.batch.definitions import Definitions
from dask_knot.batch.endings import BYGONE, Explanation, explain
from dask_knot.batch.jobs import StageJob, StageJobs, counts_of
from dask_knot.batch.logs import JobLogs, chosen_children, newest_children
from dask_knot.batch.machines import Scout
from dask_knot.batch.queues import Description
from dask_knot.batch.request import JobTemplate, submission
from dask_knot.batch.rules import ENDED, JobStatus, Wait, known_status
from dask_knot.batch.twins import Twins
from dask_knot.batch.waitingline import WaitingLine
from dask_knot.errors import KnotError, SubmissionError
from dask_knot.planning import DependencyType, EarlierStage, Resources, Stage
from dask_knot.run.names import ShardId, StageId

__all__ = ["JobService", "JobTemplate", "StageJob"]

#: Jobs that are over and still shown.
REMEMBERED = 1000
#: So many answers in a row without a job mean that Batch has forgotten it.
MISSES = 3


class JobService:
    """Submits stages and watches their jobs.

    Parameters
    ----------
    client : BatchClient
        boto3's Batch client, or the local engine.
    template : JobTemplate
        What the jobs have in common.
    tail : callable
        Gives the last lines of a log: ``tail(log_stream_name, lines)``.
    scout : callable, optional
        Looks at the machines of compute environments, where there is anything to see.
    """

    def __init__(
        self,
        client: BatchClient,
        template: JobTemplate,
        tail: Callable[[str, int], Sequence[str]],
        scout: Scout | None = None,
    ) -> None:
        self._client = client
        self._template = template
        self._logs = JobLogs(tail)
        self._scout = scout
        self._definitions = Definitions(client, template)
        self._refused: dict[StageId, KnotError] = {}  # of the thread that submits
        self._doubtful: set[StageId] = set()  # that were submitted, without an answer
        # Kept when Batch is away before all is told.
        self._failed: list[tuple[ShardId, Explanation]] = []
        self._submitted = StageJobs()
        self.twins = Twins(client, template, self._definitions)
        self.is_closed = False  # then nothing is submitted any more

    @property
    def jobs(self) -> Mapping[StageId, StageJob]:
        """All jobs that are remembered, the oldest first: a mapping that doesn't change."""
        return self._submitted.jobs

    def submit(self, id: StageId, stage: Stage, url: str) -> None:
        """Submit a stage whose pack is at `url`, behind the stages that it depends on.

        Raises
        ------
        SubmissionError
            If Batch refuses it, or a stage before it has no job.
        """
        if self.is_closed:
            raise SubmissionError(f"{id} couldn't be submitted: the cluster is closed")
        try:
            request = self.request(id, stage, url, self._definitions.arn(stage.resources))
            submitted = self._taken(id, request)
            response = submitted or self._definitions.submit(stage.resources, request)
        except KnotError:  # it says itself what is wrong, and what to do
            raise
        except Exception as error:  # botocore makes its exceptions as it goes
            raise SubmissionError(f"{id} couldn't be submitted: {error}") from error
        self._doubtful.discard(id)
        job = StageJob(str(response["jobId"]), len(stage.shards), stage.resources)
        self._submitted.add(id, job)

    def _taken(self, id: StageId, request: Mapping[str, Any]) -> Description | None:
        """Find the job of a stage that Batch has taken before, if only its answer was lost."""
        if id in self._doubtful:
            return job_under_way(self._client, request["jobQueue"], request["jobName"])
        self._doubtful.add(id)
        return None

    def start_twin(self, shard: ShardId, url: str) -> None:
        """Run a shard of the pack at `url` a second time, if its stage was submitted here."""
        job = self.jobs.get(shard.stage)
        if not (self.is_closed or job is None or job.is_adopted or shard in self.twins.jobs):
            self.twins.start(shard, job, url)

    def open_jobs(self) -> list[StageJob]:
        """List all jobs that may run, in the order in which they were submitted, twins last."""
        return [job for job in self._all() if not (job.is_over or job.is_foreign)]

    def _all(self) -> list[StageJob]:
        return [*self.jobs.values(), *self.twins.jobs.values()]

    def ask(self, client: BatchClient) -> None:
        """Ask another client from now on: one that answers for more jobs."""
        self._client = client

    def adopt(self, id: StageId, job: StageJob) -> None:
        """Watch the job of a stage that another session submitted, or was to."""
        if id not in self.jobs:
            self._submitted.add(id, job)

    def refuse(self, id: StageId, error: KnotError) -> None:
        """Note why a stage has no job: those that depend on it are told that, too."""
        self._refused.setdefault(id, error)

    def check_upstream(self, id: StageId, stage: Stage) -> None:
        """Raise why a stage has no job on which this one depends, before anything is written."""
        for dependency in stage.depends_on:
            self._dependency(id, dependency)

    def request(self, id: StageId, stage: Stage, url: str, definition: str) -> dict[str, Any]:
        """Make the parameters of the ``submit_job`` call for a stage."""
        command = ("python", "-m", "dask_knot.job", url)
        request = submission(self._template, id.stored, command, len(stage.shards))
        request["jobDefinition"] = definition
        depends_on = [self._dependency(id, d) for d in stage.depends_on]
        if depends_on:
            request["dependsOn"] = depends_on
        return request

    def definition(self, resources: Resources) -> dict[str, Any]:
        """Make the parameters of the ``register_job_definition`` call for a resource class.

        Raises
        ------
        ConfigurationError
            If the platform has no jobs of that size.
        """
        return self._definitions.request(resources)

    def poll(self, stages: Sequence[StageId]) -> list[tuple[ShardId, Explanation]]:
        """Ask how stages are, and name the children that failed since the last time.

        Updates `jobs`: the counts of children by state, and whether all have ended.
        """
        self._logs.begin_look()
        self.twins.refresh()
        for id, job, detail in self.refresh(stages):
            if job.is_adopted and not job.is_known:
                self._leave_the_past(id, job)
            elif job.size > 1:
                if job.counts.get(JobStatus.FAILED, 0) > len(job.ended):
                    self._find_failed(id, job)
            elif JobStatus.FAILED in job.counts and not job.ended:
                ended = self._logs.explain(detail)
                job.ended |= {0}
                self._failed.append((ShardId(id, 0), ended))
        failed, self._failed = self._failed, []
        return failed

    def refresh(self, stages: Iterable[StageId]) -> list[tuple[StageId, StageJob, Description]]:
        """Update the counts of the jobs of stages; give what Batch said of each."""
        by_id = {self.jobs[id].id: id for id in stages if id in self.jobs}
        found = []
        for detail in describe_jobs(self._client, list(by_id)):
            id = by_id.pop(detail["jobId"])
            job = self.jobs[id]
            job.missed = 0
            job.is_over = known_status(detail["status"]) in ENDED
            job.reason = detail.get("statusReason", "")
            job.counts = counts_of(detail, job.size)
            found.append((id, job, detail))
        for job in [self.jobs[id] for id in by_id.values()]:
            job.missed += 1  # Batch forgets what ended a day or more ago
            job.is_over = job.missed >= MISSES
            job.was_over = job.is_over and job.is_adopted
        return found

    def explain(self, shards: Sequence[ShardId]) -> list[tuple[ShardId, Explanation]]:
        """Explain children that ended without leaving a manifest, whatever Batch says of them."""
        bygone = [shard for shard in shards if self.jobs[shard.stage].was_over]
        ids = {shard: self._child(shard) for shard in shards if shard not in {*bygone}}
        details = {one["jobId"]: one for one in describe_jobs(self._client, [*ids.values()])}
        unknown = {"statusReason": "Batch no longer knows the job"}
        return [
            *((shard, self._bygone(shard)) for shard in bygone),
            *(
                (shard, self._logs.explain(details.get(id) or {"jobId": id, **unknown}))
                for shard, id in ids.items()
            ),
        ]

    def _child(self, shard: ShardId) -> str:
        job = self.jobs[shard.stage]
        return job.child(shard.index)

    def terminate(self, stages: Iterable[StageId], reason: str) -> None:
        """End the jobs of stages, running and waiting ones."""
        self.end([self.jobs[id].id for id in stages if id in self.jobs], reason)

    def running(self, shards: Iterable[ShardId]) -> list[str]:
        """Name those of the children of shards that run, as Batch says now."""
        alone: list[str] = []
        arrays: dict[str, set[str]] = {}
        for shard in shards:
            job = self.jobs.get(shard.stage)
            if job is None or job.is_over or job.is_foreign:
                continue
            if job.size == 1:
                alone.append(job.id)
            else:
                arrays.setdefault(job.id, set()).add(job.child(shard.index))
        return running(self._client, alone, arrays)

    def end(self, ids: Iterable[str], reason: str) -> None:
        """End jobs, or children of array jobs, by their ids."""
        for id in ids:
            self._client.terminate_job(jobId=id, reason=reason)

    def is_job(self, id: str) -> bool:
        """Tell whether an id is that of a job, an array job or a child that was submitted here."""
        parent = id.partition(":")[0]
        return any(job.id in (id, parent) for job in self._all())

    def logs(self, chosen: Collection[str] | None = None, lines: int = 200) -> dict[str, str]:
        """Read the last lines of the logs of jobs or children: of those that are named, or of the
        newest that ran, those that failed first.
        """
        if chosen is None:
            ids = newest_children(self.jobs)
        else:
            ids = chosen_children(self.jobs, chosen) + self.twins.chosen(chosen)
        return self._logs.read(describe_jobs(self._client, ids), lines)

    def line(self) -> WaitingLine:
        """Give the line of those that wait for machines, to be asked what they wait for."""
        return WaitingLine(self._client, self._template.queue, self._scout)

    def prune(self, needed: Collection[StageId]) -> None:
        """Forget jobs of long ago: of stages that don't run, and whose values nobody needs."""
        self._submitted.prune(REMEMBERED, needed)

    def _dependency(self, id: StageId, dependency: Any) -> dict[str, str]:
        upstream = dependency.upstream
        stage = (
            cast(StageId, upstream.id)
            if isinstance(upstream, EarlierStage)
            else StageId(id.plan, upstream)
        )
        if (cause := self._refused.get(stage)) is not None:
            self._refused[id] = cause  # of a long chain, too, the first cause is told
            if not isinstance(cause, SubmissionError):  # it speaks of no stage
                raise cause
            text = f"{id} depends on {stage}, which has no job: {cause}"
            raise SubmissionError(text) from cause
        if stage not in self.jobs:
            text = f"it depends on {stage}, which was never submitted"
            raise SubmissionError(text)
        found = {"jobId": self.jobs[stage].id}
        if dependency.type is DependencyType.N_TO_N:
            found["type"] = Wait.N_TO_N.value
        return found

    def _leave_the_past(self, id: StageId, job: StageJob) -> None:
        """Note what had failed of an adopted job at the first look: that is no result, and is done
        again; whoever waited for it then was told.
        """
        job.was_over = job.is_over
        if not job.is_over and job.counts.get(JobStatus.FAILED):
            failed = children(self._client, job.id, JobStatus.FAILED)
            past = [ShardId(id, child["arrayProperties"]["index"]) for child in failed]
            job.ended |= {shard.index for shard in past}
            self._failed += [(shard, self._bygone(shard)) for shard in past]
        job.is_known = True

    def _bygone(self, shard: ShardId) -> Explanation:
        return explain({"jobId": self._child(shard), "statusReason": BYGONE}, ())

    def _find_failed(self, id: StageId, job: StageJob) -> None:
        names = [
            child["jobId"]
            for child in children(self._client, job.id, JobStatus.FAILED)
            if child["arrayProperties"]["index"] not in job.ended
        ]
        for detail in describe_jobs(self._client, names):
            index = detail["arrayProperties"]["index"]
            ended = self._logs.explain(detail)
            job.ended |= {index}
            self._failed.append((ShardId(id, index), ended))
