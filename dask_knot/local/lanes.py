"""In which order RUNNABLE jobs start: first come first served, without starving anyone. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque

from dask_knot.batch.rules import JobStatus
from dask_knot.local.capacity import Capacity, Ledger
from dask_knot.local.jobs import Job

# How many smaller jobs may start before a job that does not fit beside them holds the rest back.
PATIENCE = 20


class _LaneGroup:
    """Jobs that ask for the same resources: one lane per ``submit_job``, served in turn."""

    def __init__(self) -> None:
        self.passed_over = 0
        self._lanes: OrderedDict[str, deque[Job]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._lanes)

    def push(self, job: Job) -> None:
        self._lanes.setdefault(job.submission.job_id, deque()).append(job)

    def take(self) -> Job | None:
        while self._lanes:
            name, lane = next(iter(self._lanes.items()))
            job = lane.popleft()
            if lane:
                self._lanes.move_to_end(name)
            else:
                del self._lanes[name]
            # Cancelled jobs are not searched for when they are cancelled: they are left out here.
            if job.status is JobStatus.RUNNABLE:
                return job
        return None


class RunQueue:
    """RUNNABLE jobs, grouped by what they need, so that a full machine costs no search."""

    def __init__(self) -> None:
        self._groups: OrderedDict[Capacity, _LaneGroup] = OrderedDict()

    def push(self, job: Job) -> None:
        """Add a job at the end of its lane."""
        needs = job.submission.needs
        if needs not in self._groups:
            self._groups[needs] = _LaneGroup()
        self._groups[needs].push(job)

    def take(self, ledger: Ledger) -> Job | None:
        """Remove and return the next job that fits, if any."""
        skipped: list[_LaneGroup] = []
        for needs, group in list(self._groups.items()):
            if ledger.fits(needs):
                job = self._take_from(needs)
                if job is not None:
                    for other in skipped:
                        other.passed_over += 1
                    return job
            elif ledger.total.holds(needs):
                if group.passed_over >= PATIENCE:
                    return None
                skipped.append(group)
        return None

    def _take_from(self, needs: Capacity) -> Job | None:
        group = self._groups[needs]
        job = group.take()
        group.passed_over = 0
        if group:
            self._groups.move_to_end(needs)
        else:
            del self._groups[needs]
        return job
