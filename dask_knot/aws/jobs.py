"""Jobs of a stack that somebody still has under way: named before it is deleted, and ended then."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from dask_knot.aws import names
from dask_knot.aws.outputs import StackOutputs, find_stack, parse_outputs
from dask_knot.aws.session import REFUSALS, AwsSession, Pause, translated
from dask_knot.aws.status import OPEN
from dask_knot.batch.limits import DESCRIBED_JOBS
from dask_knot.errors import StackError
from dask_knot.plural import many

#: Batch gives a container 30 s from SIGTERM to SIGKILL, and some time for a machine to be told.
PATIENCE, PAUSE = 120.0, 2.0
#: What follows the name of a run in the names of its jobs: plan and stage.
STAGE = re.compile(r"-\d{10}-\d{3,}$")


@dataclass(frozen=True, slots=True)
class OpenJobs:
    """The jobs of a stack that haven't ended.

    Attributes
    ----------
    queue : str
        Where they are.
    is_own : bool
        Whether the stack made the queue: then all that is in it ends with it.
    ids : tuple of str
        Jobs and array jobs.
    runs : mapping of str to int
        How many there are of each run: the name of a cluster.
    """

    queue: str
    is_own: bool
    ids: tuple[str, ...] = ()
    runs: Mapping[str, int] | None = None

    def __str__(self) -> str:
        """Name the runs, and how many jobs each has."""
        runs = (self.runs or {}).items()
        return ", ".join(f"{run} ({many('job', count)})" for run, count in runs)


def find_jobs(session: AwsSession, name: str) -> OpenJobs | None:
    """List the open jobs of a stack; None if there is no stack that has jobs.

    Raises
    ------
    AwsError
        If AWS refuses or doesn't answer.
    """
    stack = find_stack(session.client("cloudformation"), name)
    try:
        outputs = None if stack is None else parse_outputs(stack)
    except StackError:  # it was never whole, or is being deleted
        return None
    return None if outputs is None else _open_jobs(session.client("batch"), outputs)


def end_stack_jobs(
    session: AwsSession, name: str, report: Callable[[str], object], pause: Pause = time.sleep
) -> tuple[str, ...]:
    """End all jobs of a stack, and let nobody submit more to its queue.

    Parameters
    ----------
    session : AwsSession
        Credentials and region.
    name : str
        The stack.
    report : callable
        Told what is waited for.
    pause : callable
        Waits for so many seconds.

    Returns
    -------
    tuple of str
        The ids of jobs that haven't ended in time.

    Raises
    ------
    AwsError
        If AWS refuses or doesn't answer.
    """
    jobs = find_jobs(session, name)
    if jobs is None:
        return ()
    batch = session.client("batch")
    if jobs.is_own:
        with translated():
            batch.update_job_queue(jobQueue=jobs.queue, state="DISABLED")
    asked: set[str] = set()
    for _ in range(int(PATIENCE / PAUSE)):
        jobs = find_jobs(session, name)
        if jobs is None or not jobs.ids:
            return ()
        _terminate(batch, [id for id in jobs.ids if id not in asked], name)
        if not asked:
            report(f"stopping {many('job', len(jobs.ids))}: {jobs}")
        asked.update(jobs.ids)
        pause(PAUSE)
    return jobs.ids


def _open_jobs(batch: Any, outputs: StackOutputs) -> OpenJobs:
    is_own = outputs.compute_environment is not None
    with translated():
        found = list(_listed(batch, outputs.queue))
        if not is_own:
            found = list(_tagged(batch, found, outputs.name))
    runs = Counter(STAGE.sub("", str(one["jobName"])) for one in found)
    return OpenJobs(outputs.queue, is_own, tuple(str(one["jobId"]) for one in found), runs)


def _listed(batch: Any, queue: str) -> Iterator[Mapping[str, Any]]:
    """List the open jobs of a queue once each: they go on from state to state meanwhile."""
    seen: set[str] = set()
    for state in OPEN:
        for page in batch.get_paginator("list_jobs").paginate(jobQueue=queue, jobStatus=state):
            for one in page["jobSummaryList"]:
                if one["jobId"] not in seen:
                    seen.add(one["jobId"])
                    yield one


def _tagged(
    batch: Any, found: Sequence[Mapping[str, Any]], name: str
) -> Iterator[Mapping[str, Any]]:
    for start in range(0, len(found), DESCRIBED_JOBS):
        ids = [one["jobId"] for one in found[start : start + DESCRIBED_JOBS]]
        for one in batch.describe_jobs(jobs=ids)["jobs"]:
            if one.get("tags", {}).get(names.TAG) == name:
                yield one


def _terminate(batch: Any, ids: Sequence[str], name: str) -> None:
    reason = f"the stack {name} was deleted by `dask knot down`"
    for id in ids:
        # It is over meanwhile, or may not be ended, which the time that is left then tells.
        with suppress(*REFUSALS):
            batch.terminate_job(jobId=id, reason=reason)
