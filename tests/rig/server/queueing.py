"""Which job may start: dependencies are looked at, and so many containers run at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from dask_knot.batch.rules import (
    DEPENDENCY_FAILED,
    TOO_LARGE,
    JobStatus,
    Wait,
    status_behind,
    upstream,
)

if TYPE_CHECKING:
    from tests.rig.server.jobs import Job

#: No machine here has more memory (MiB): jobs that want it wait for ever, as on AWS.
LARGEST = 2**20


class Queueing:
    """Moves jobs from SUBMITTED to RUNNABLE, and runs so many of them at once.

    Parameters
    ----------
    slots : int
        How many containers run at once.
    """

    def __init__(self, slots: int) -> None:
        self.lock = threading.RLock()
        self.wake = threading.Event()
        self._waiting: list[Job] = []
        self._pool = ThreadPoolExecutor(slots)
        threading.Thread(target=self._watch, daemon=True).start()

    def add(self, job: Job) -> None:
        """Take a job that was submitted."""
        with self.lock:
            self._waiting.append(job)
        self.wake.set()

    def _watch(self) -> None:
        while True:
            self.wake.wait(0.05)
            self.wake.clear()
            with self.lock:
                jobs = list(self._waiting)
            for job in jobs:
                self._look_at(job)

    def _look_at(self, job: Job) -> None:
        if job.stop:
            self._drop(job)
            job.end(False, job.job_stopped_reason)
            return
        status = status_behind(_awaited(job))
        if status is JobStatus.FAILED:
            self._drop(job)
            job.end(False, DEPENDENCY_FAILED)
            return
        job.state = status.value
        if status is JobStatus.RUNNABLE and job.memory > LARGEST:
            job.job_stopped_reason = TOO_LARGE
        elif status is JobStatus.RUNNABLE:
            self._drop(job)
            self._pool.submit(job.go)

    def _drop(self, job: Job) -> None:
        with self.lock:
            self._waiting.remove(job)
        self.wake.set()


def _awaited(job: Job) -> Iterator[JobStatus]:
    """Give the states of what a job waits for, or a child of an array."""
    own = job.all_jobs[job.job_id.rpartition(":")[0]] if job.index is not None else job
    for dependency in job.depends_on or []:
        wait = Wait(dependency.get("type"))
        whole = own if wait is Wait.SEQUENTIAL else job.all_jobs.get(dependency["jobId"])
        if whole is None:  # it was forgotten long ago
            continue
        awaited = upstream(wait, job.index or 0, whole, whole.children or ())
        if awaited is not None:
            yield JobStatus(awaited.status)
