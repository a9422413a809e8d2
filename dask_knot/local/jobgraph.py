"""All jobs, and what follows for the others when one ends: pure, ``now`` passed in."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from dask_knot.batch.limits import OVERRIDE_CHARACTERS
from dask_knot.batch.rules import (
    DEPENDENCY_FAILED,
    ENDED,
    OVERRIDES_TOO_LONG,
    JobStatus,
    Wait,
    status_behind,
    upstream,
)
from dask_knot.local.jobs import AnyJob, ArrayJob, Job, Submission, members

# Batch forgets ended jobs after a day to a week. A client that lives that long must not grow
# without bound either: 50,000 records are five of the largest arrays, about 40 MB.
KEPT_JOBS = 50_000


class JobGraph:
    """Jobs by id, with the links between those that depend on each other.

    Attributes
    ----------
    runnable
        Jobs that became RUNNABLE, in order, for the caller to take.
    """

    def __init__(self, keep: int = KEPT_JOBS) -> None:
        self.runnable: deque[Job] = deque()
        self._nodes: dict[str, AnyJob] = {}
        self._ended: deque[AnyJob] = deque()
        self._ended_jobs = 0
        self._keep = keep

    def find(self, job_id: str) -> AnyJob | None:
        """Return the job, array or child (``parent:index``) of that id or ARN."""
        parent_id, _, index = job_id.rpartition("/")[2].partition(":")
        node = self._nodes.get(parent_id)
        if not index:
            return node
        if isinstance(node, ArrayJob) and index.isdecimal() and int(index) < len(node.children):
            return node.children[int(index)]
        return None

    def newest_first(self) -> Iterator[AnyJob]:
        """Iterate over the jobs and parents of arrays."""
        return reversed(self._nodes.values())

    def unfinished(self) -> list[Job]:
        """Return what has not ended yet."""
        return [
            job for node in self._nodes.values() for job in members(node) if job.status not in ENDED
        ]

    def add(self, submission: Submission, now: int) -> AnyJob:
        """Take up a new job; what it names in ``depends_on`` must be in the table."""
        size = submission.size
        node = Job(submission) if size is None else ArrayJob.of(submission, size)
        self._nodes[submission.job_id] = node
        doomed = self._link(node)
        self.end(doomed, JobStatus.FAILED, DEPENDENCY_FAILED, now)
        free = [job for job in members(node) if job.status not in ENDED and job.is_free]
        for job in members(node):
            if job.status not in ENDED and not job.is_free:
                job.move(JobStatus.PENDING)
        self.end(self._release(free), JobStatus.FAILED, OVERRIDES_TOO_LONG, now)
        return node

    def end(self, jobs: Iterable[Job], status: JobStatus, reason: str | None, now: int) -> None:
        """End jobs, and everything that can't run any more because of it."""
        # A queue and not a recursion: a SEQUENTIAL array of 10,000 fails child after child.
        ending = deque((job, status, reason) for job in jobs)
        while ending:
            job, status, reason = ending.popleft()
            if job.status in ENDED:
                continue
            job.end(status, reason, now)
            for node in self._ended_with(job):
                doomed, too_long = self._settle(node)
                ending.extend((one, JobStatus.FAILED, DEPENDENCY_FAILED) for one in doomed)
                ending.extend((one, JobStatus.FAILED, OVERRIDES_TOO_LONG) for one in too_long)

    def retry(self, job: Job) -> None:
        """Make a job RUNNABLE once more."""
        job.move(JobStatus.RUNNABLE)
        self.runnable.append(job)

    def _ended_with(self, job: Job) -> list[AnyJob]:
        """Return the job, and its array if this was the last child."""
        if job.parent is None:
            self._remember(job)
            return [job]
        if not job.parent.is_ended:
            return [job]
        self._remember(job.parent)
        return [job, job.parent]

    def _settle(self, ended: AnyJob) -> tuple[list[Job], list[Job]]:
        """Tell the dependents of what ended; return those that fail by it, and by their size."""
        dependents, ended.dependents = ended.dependents, []
        if status_behind([ended.status]) is JobStatus.FAILED:
            return [job for node in dependents for job in members(node)], []
        free: list[Job] = []
        for node in dependents:
            node.waiting_for -= 1
            if node.waiting_for == 0:
                free.extend(job for job in members(node) if job.is_free)
        return [], self._release(job for job in free if job.status not in ENDED)

    def _release(self, free: Iterable[Job]) -> list[Job]:
        """Make jobs RUNNABLE; return those that Batch fails instead as it can't start them."""
        too_long = []
        for job in free:
            if job.submission.override_characters > OVERRIDE_CHARACTERS:
                too_long.append(job)
            else:
                job.move(JobStatus.RUNNABLE)
                self.runnable.append(job)
        return too_long

    def _link(self, node: AnyJob) -> list[Job]:
        """Tie a new node to what it depends on; return the jobs whose dependency has failed."""
        doomed: list[Job] = []
        for awaited, waiting in self._pairs(node):
            status = status_behind([awaited.status])
            if status is JobStatus.FAILED:
                doomed.extend(members(waiting))
            elif status is JobStatus.PENDING:
                awaited.dependents.append(waiting)
                waiting.waiting_for += 1
        return doomed

    def _pairs(self, node: AnyJob) -> Iterator[tuple[AnyJob, AnyJob]]:
        """Give what is awaited and what waits for it: an array waits for a whole job only once."""
        for dependency in node.submission.depends_on:
            wait = Wait(dependency.get("type"))
            whole = node if wait is Wait.SEQUENTIAL else self.find(dependency["jobId"])
            if whole is None:
                continue
            if wait is Wait.ALL:
                yield whole, node
                continue
            for index, job in enumerate(members(node)):
                awaited = upstream(wait, index, whole, members(whole))
                if awaited is not None:
                    yield awaited, job

    def _remember(self, node: AnyJob) -> None:
        """Keep what ended, and forget the oldest of it."""
        self._ended.append(node)
        self._ended_jobs += len(members(node))
        while self._ended_jobs > self._keep and len(self._ended) > 1:
            oldest = self._ended.popleft()
            self._ended_jobs -= len(members(oldest))
            del self._nodes[oldest.job_id]
