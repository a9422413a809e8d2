"""Which job may start: dependencies are looked at, and so many containers run at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.rig.server.jobs import Job

ENDED = ("SUCCEEDED", "FAILED")
#: No machine here has more memory (MiB): jobs that want it wait for ever, as on AWS.
LARGEST = 2**20
TOO_LARGE = (
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job resource requirement (vCPU/memory/GPU) is "
    "higher than that can be met by the CE(s) attached to the job queue."
)


class Readiness(Enum):
    """What a job's dependencies say."""

    READY = "ready"
    WAITING = "waiting"
    FAILED = "failed"


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
        readiness = is_ready(job)
        if job.state == "SUBMITTED":
            job.state = "PENDING"
        if readiness is Readiness.FAILED:
            self._drop(job)
            job.end(False, "Dependent Job failed")
        elif readiness is Readiness.READY and job.memory > LARGEST:
            job.state, job.job_stopped_reason = "RUNNABLE", TOO_LARGE
        elif readiness is Readiness.READY:
            self._drop(job)
            job.state = "RUNNABLE"
            self._pool.submit(job.go)

    def _drop(self, job: Job) -> None:
        with self.lock:
            self._waiting.remove(job)
        self.wake.set()


def is_ready(job: Job) -> Readiness:
    """Tell what the dependencies of a job say; of an array, of one child."""
    answer = Readiness.READY
    for dependency in job.depends_on or []:
        upstream = _upstream(job, dependency)
        if upstream is None:
            continue
        if upstream.status == "FAILED":
            return Readiness.FAILED
        if upstream.status != "SUCCEEDED":
            answer = Readiness.WAITING
    return answer


def _upstream(job: Job, dependency: dict[str, str]) -> Job | None:
    kind, upstream = dependency.get("type"), job.all_jobs.get(dependency.get("jobId"))
    if kind == "SEQUENTIAL" and upstream is None:
        parent = job.job_id.rpartition(":")[0]
        return job.all_jobs[f"{parent}:{job.index - 1}"] if job.index else None
    if kind == "N_TO_N" and job.index is not None and upstream is not None and upstream.children:
        return upstream.children[job.index]
    return upstream
