"""The diagnosis of jobs that wait in RUNNABLE, in words, from Batch's describe calls: pure.

Source of the reasons: AWS Batch User Guide, "Jobs stuck in a RUNNABLE status".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dask_knot.batch.machines import LONG
from dask_knot.batch.queues import Description


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A job that waits, and what it asks for.

    Attributes
    ----------
    reason : str
        Its ``statusReason``: Batch gives one to the job at the head of a queue that is blocked.
    vcpus : float
        vCPUs that it needs.
    gpus : int
        GPUs that it needs.
    """

    reason: str
    vcpus: float
    gpus: int = 0


class Diagnosis(NamedTuple):
    """The reason why jobs wait, and whether they would wait for ever."""

    words: str
    is_hopeless: bool


class Backoff:
    """The rule when to look into a stage: it has waited so long, and then ever more seldom.

    When machines should be there by any measure (`LONG`), it is looked into in any case.

    Parameters
    ----------
    seconds : float
        How long a stage may wait before it is looked into.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: float | None = None
        self._due = 0.0

    def waited(self, now: float) -> float:
        """Tell for how long the stage has waited; nothing while it doesn't."""
        return 0.0 if self._since is None else now - self._since

    def is_over(self, is_waiting: bool, now: float) -> bool:
        """Note whether the stage waits, and tell whether to look into it now."""
        if not is_waiting:
            self._since = None
            return False
        if self._since is None:
            self._since, self._due = now, now + self._seconds
        if now < self._due:
            return False
        waited = now - self._since
        self._due = now + (LONG - waited if waited < LONG < 2 * waited else waited)
        return True


#: What Batch's reasons mean and what helps, by how they begin.
REASONS: tuple[tuple[str, str, bool], ...] = (
    (
        "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
        "a job needs more vCPUs than the compute environment may have: run `dask knot up` "
        "with a larger --max-vcpus, or use fewer cores",
        True,
    ),
    (
        "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
        "no machine of the compute environment is large enough for a job: use less memory, "
        "cores or gpus; on AWS, you can also run `dask knot up` with larger --instance-types",
        True,
    ),
    (
        "MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS",
        "Batch's service role lacks permissions: run `dask knot up` again",
        True,
    ),
    (
        "MISCONFIGURATION",
        "the compute environment can't run such jobs: see `dask knot doctor`",
        True,
    ),
    (
        "CAPACITY",
        "AWS has no free instances of these types at the moment. Some may become free; more "
        "--instance-types, or another --platform, improve the chances",
        False,
    ),
)


def diagnose(
    waiting: WaitingJob, queue: Description | None, environments: Sequence[Description]
) -> Diagnosis:
    """Say why a job waits.

    Parameters
    ----------
    waiting : WaitingJob
        The job.
    queue : mapping or None
        Its queue, as ``describe_job_queues`` has it; None if that isn't known.
    environments : sequence of mappings
        The compute environments of the queue, as ``describe_compute_environments`` has them.
    """
    for beginning, words, is_hopeless in REASONS:
        if waiting.reason.startswith(beginning):
            return Diagnosis(f"{words} ({waiting.reason})", is_hopeless)
    if queue is not None and queue["status"] == "INVALID":
        return Diagnosis(f"the job queue {queue['jobQueueName']} is INVALID{_why(queue)}", True)
    troubles = [_trouble(waiting, environment) for environment in environments]
    if troubles and all(troubles):
        return Diagnosis("; ".join(trouble for trouble in troubles if trouble), True)
    if queue is not None and queue["state"] == "DISABLED":
        return Diagnosis(
            f"the job queue {queue['jobQueueName']} is DISABLED: the jobs in it still run, "
            "but it accepts no new ones. Enable it in the Batch console",
            False,
        )
    changing = [one for one in environments if one["status"] in ("CREATING", "UPDATING")]
    if changing and len(changing) == len(environments):
        names = ", ".join(str(one["computeEnvironmentName"]) for one in changing)
        words = (
            f"the compute environment {names} is {changing[0]['status']}, and jobs wait until "
            "it is ready"
        )
        return Diagnosis(
            f"{words}, usually some minutes; `dask knot status` shows its state", False
        )
    reason = waiting.reason or "Batch gives no reason"
    shared = queue is not None and queue.get("schedulingPolicyArn")
    fair = "; the queue shares fairly: users who have had less go first" if shared else ""
    return Diagnosis(f"{reason}; {_outlook(environments)}{fair}", False)


def _trouble(waiting: WaitingJob, environment: Description) -> str | None:
    """Say why a compute environment will never run a job, if it won't."""
    name = f"the compute environment {environment['computeEnvironmentName']}"
    if environment["status"] == "INVALID":
        return f"{name} is INVALID{_why(environment)}. Run `dask knot up` again"
    if environment["status"] in ("DELETING", "DELETED"):
        return f"{name} is being deleted: run `dask knot up` again"
    if environment["state"] == "DISABLED":
        return f"{name} is DISABLED: enable it in the Batch console, or run `dask knot up` again"
    resources = environment.get("computeResources", {})
    maximum = resources.get("maxvCpus")
    if maximum is not None and waiting.vcpus > maximum:
        return (
            f"a job needs {waiting.vcpus:g} vCPUs and {name} may have at most {maximum}: run "
            f"`dask knot up --max-vcpus {waiting.vcpus:g}`, or use fewer cores"
        )
    if waiting.gpus and str(resources.get("type", "")).startswith("FARGATE"):
        return (
            f"a job needs GPUs and {name} is on Fargate, which has none: run `dask knot up` "
            "with --platform ec2"
        )
    return None


def _why(described: Description) -> str:
    reason = described.get("statusReason")
    return f": {reason}" if reason else ""


def _outlook(environments: Sequence[Description]) -> str:
    if not environments:
        return "it may be waiting for other jobs in the queue"
    size = " and ".join(
        f"{one.get('desiredvCpus', 0)} of at most {one['maxvCpus']} vCPUs"
        for one in (environment.get("computeResources", {}) for environment in environments)
        if "maxvCpus" in one
    )
    return (
        f"the queue has {size}. Instances take some minutes to start, and other jobs in the "
        "queue may go first"
    )
