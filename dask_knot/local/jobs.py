"""Records of jobs, array children and attempts, and how each changes: pure, ``now`` passed in.

All times are milliseconds since the epoch, as in Batch's responses.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dask_knot.batch.rules import (
    CHILD_FAILED,
    CONTAINER_EXITED,
    ENDED,
    JobStatus,
    RetryStrategy,
    check_move,
    roll_up,
)
from dask_knot.local.capacity import Capacity
from dask_knot.local.launcher import Exit


@dataclass(frozen=True, slots=True)
class Submission:
    """The request of one ``submit_job``, its job definition and overrides joined."""

    job_id: str
    name: str
    queue: str
    definition_arn: str
    definition_name: str
    image: str
    command: tuple[str, ...]
    environment: dict[str, str]
    needs: Capacity
    retry: RetryStrategy
    created_at: int
    size: int | None = None
    timeout: int | None = None
    override_characters: int = 0
    parameters: dict[str, str] = field(default_factory=dict)
    depends_on: tuple[dict[str, Any], ...] = ()


@dataclass(slots=True)
class Attempt:
    """One container of a job."""

    log_stream_name: str
    started_at: int | None = None
    stopped_at: int | None = None
    exit_code: int | None = None
    reason: str | None = None
    status_reason: str | None = None


@dataclass(slots=True, eq=False)
class Job:
    """A job without children, or one child of an array job: it runs."""

    submission: Submission
    index: int | None = None
    parent: ArrayJob | None = None
    status: JobStatus = JobStatus.SUBMITTED
    status_reason: str | None = None
    attempts: list[Attempt] = field(default_factory=list)
    started_at: int | None = None
    stopped_at: int | None = None
    waiting_for: int = 0
    dependents: list[Job | ArrayJob] = field(default_factory=list)
    stop_reason: str | None = None
    is_terminated: bool = False
    is_cancelled: bool = False

    @property
    def job_id(self) -> str:
        """The id, ``parent:index`` for a child."""
        parent = self.submission.job_id
        return parent if self.index is None else f"{parent}:{self.index}"

    @property
    def child_id(self) -> str:
        """The name of the current attempt's process, so that late news of an older one is known."""
        return f"{self.job_id}/{len(self.attempts)}"

    @property
    def is_free(self) -> bool:
        """True when nothing that this job depends on is left to wait for."""
        return self.waiting_for == 0 and (self.parent is None or self.parent.waiting_for == 0)

    def move(self, status: JobStatus) -> None:
        """Change the status; an illegal move raises ``ValueError``."""
        check_move(self.status, status)
        if self.parent is not None:
            self.parent.counts[self.status] -= 1
            self.parent.counts[status] += 1
        self.status = status

    def begin_attempt(self) -> None:
        """RUNNABLE -> STARTING, with a new attempt and its log stream."""
        self.move(JobStatus.STARTING)
        number = len(self.attempts) + 1
        folder = f"{self.submission.definition_name}/default"
        self.attempts.append(Attempt(f"{folder}/{self.job_id.replace(':', '-')}-{number}"))

    def begin_running(self, now: int) -> None:
        """STARTING -> RUNNING."""
        self.move(JobStatus.RUNNING)
        self.attempts[-1].started_at = now
        self.started_at = now

    def end_attempt(self, end: Exit, now: int) -> JobStatus:
        """Write down how the attempt ended and return the status that follows from it."""
        attempt = self.attempts[-1]
        attempt.stopped_at = now
        attempt.exit_code = end.code
        attempt.reason = end.reason
        attempt.status_reason = self.stop_reason or end.status_reason or CONTAINER_EXITED
        if self.stop_reason is not None:
            return JobStatus.FAILED
        strategy, tried = self.submission.retry, len(self.attempts)
        return strategy.status_after(tried, end.code, end.reason, attempt.status_reason)

    def end(self, status: JobStatus, reason: str | None, now: int) -> None:
        """Move to SUCCEEDED or FAILED for good."""
        self.move(status)
        self.status_reason = reason
        self.stopped_at = now
        if self.parent is not None and self.parent.is_ended:
            self.parent.stopped_at = now

    def environment(self) -> dict[str, str]:
        """Return the environment of the next container: the job's own and Batch's variables."""
        submission = self.submission
        batch = {
            "AWS_BATCH_JOB_ID": self.job_id,
            "AWS_BATCH_JOB_ATTEMPT": str(len(self.attempts)),
            "AWS_BATCH_JQ_NAME": submission.queue,
            "AWS_BATCH_CE_NAME": "local",
        }
        if self.index is not None:
            batch["AWS_BATCH_JOB_ARRAY_INDEX"] = str(self.index)
            batch["AWS_BATCH_JOB_ARRAY_SIZE"] = str(submission.size)
        return {**submission.environment, **batch}


@dataclass(slots=True, eq=False)
class ArrayJob:
    """The parent of an array: it never runs itself, its children say how it stands."""

    submission: Submission
    children: list[Job] = field(default_factory=list)
    # Counted at every move: a poll of a parent of 10,000 must not look at each child.
    counts: dict[JobStatus, int] = field(default_factory=dict)
    stopped_at: int | None = None
    waiting_for: int = 0
    dependents: list[Job | ArrayJob] = field(default_factory=list)
    stop_reason: str | None = None
    is_terminated: bool = False
    is_cancelled: bool = False

    @classmethod
    def of(cls, submission: Submission, size: int) -> ArrayJob:
        """Make a parent with ``size`` children."""
        array = cls(submission, counts=dict.fromkeys(JobStatus, 0))
        array.children = [Job(submission, index, array) for index in range(size)]
        array.counts[JobStatus.SUBMITTED] = size
        return array

    @property
    def job_id(self) -> str:
        """The id of the parent."""
        return self.submission.job_id

    @property
    def status(self) -> JobStatus:
        """The children's states rolled up."""
        return roll_up(self.counts)

    @property
    def is_ended(self) -> bool:
        """True when every child has ended."""
        return sum(self.counts[status] for status in ENDED) == len(self.children)

    @property
    def status_reason(self) -> str | None:
        """The reason why the parent failed."""
        if not self.is_ended:
            return None
        failed = self.counts[JobStatus.FAILED]
        return self.stop_reason or (CHILD_FAILED if failed else None)


AnyJob = Job | ArrayJob


def members(node: AnyJob) -> list[Job]:
    """Return what runs for a node: the job itself, or the children."""
    return node.children if isinstance(node, ArrayJob) else [node]
