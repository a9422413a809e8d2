"""Batch's words about a job that ended, turned into an ending and an error that says what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from dask.utils import format_bytes

from dask_knot.batch.reasons import ACCIDENTS, Blame, Cause, cause_of
from dask_knot.batch.request import MIB
from dask_knot.batch.rules import CONTAINER_EXITED
from dask_knot.errors import (
    InternalError,
    JobError,
    JobMemoryError,
    JobStartError,
    JobTerminatedError,
    JobTimeoutError,
    KilledTaskError,
    KnotError,
    NotLoadedError,
    PluginError,
    VersionsError,
)
from dask_knot.run import exits
from dask_knot.tracking.events import Ending


class ReasonRule(NamedTuple):
    """A pattern of Batch's `statusReason` or `container.reason`, and what it means."""

    field: str
    pattern: str
    ending: Ending


#: Why dask_knot itself ends jobs, or takes them for ended. They aren't to blame: whoever still
#: wants what they were to make lets it be made anew.
UNNEEDED = "nobody needs its results any more"
CLOSED = "the cluster was closed"
UNWATCHED = "it could not be watched, and nobody waits for it any more"
HOPELESS = "it can never run here"
CLIENT_GONE = "the client that ran it is gone"
BYGONE = "it ended before this client looked for it"
#: Why a whole run was ended: that is meant for everybody who waits.
ENDED_RUN = "the run was ended"

#: The first rule that matches counts. Patterns are those of Batch's troubleshooting guide.
RULES = (
    ReasonRule("status", "Dependent Job failed*", Ending.DEPENDENCY_FAILED),
    ReasonRule("status", "Host EC2*", Ending.HOST_LOST),
    ReasonRule("status", "Your Spot Task was interrupted*", Ending.HOST_LOST),
    ReasonRule("status", "Job attempt duration exceeded timeout*", Ending.TIMEOUT),
    ReasonRule("container", "OutOfMemory*", Ending.MEMORY),
    ReasonRule("status", "OutOfMemory*", Ending.MEMORY),
    *(
        ReasonRule("status", reason, Ending.LEFT)
        for reason in (UNNEEDED, CLOSED, UNWATCHED, HOPELESS, CLIENT_GONE, BYGONE)
    ),
    # Also of jobs that Batch doesn't mark as terminated because they had not started.
    ReasonRule("status", ENDED_RUN, Ending.TERMINATED),
)


#: How the engine and the container's init begin to say that the program could not be started, what
#: the kernel says of one of another architecture, and what that means.
NOT_EXECUTED, WRONG_FORMAT = re.compile(r"exec .*error$|\[fatal tini", re.I), "exec format error"
OTHER_ARCHITECTURE = (
    "the image is for another architecture than the compute environment; build it again with "
    "`dask knot image`"
)


NO_PYTHON = "the image has no working Python; build it with `dask knot image`"


class Explanation(NamedTuple):
    """The end of a job or child."""

    ending: Ending
    error: Exception


def explain(job: Mapping[str, Any], log: Sequence[str]) -> Explanation:
    """Explain a job that ended without the manifest that it should have left.

    Parameters
    ----------
    job : mapping
        What ``describe_jobs`` says of it.
    log : sequence of str
        The last lines of its log.
    """
    container = job.get("container", {})
    reasons = {"status": job.get("statusReason", ""), "container": container.get("reason", "")}
    code = container.get("exitCode")
    cause = _cause(job, reasons)
    ending = _ending(job, reasons, code, cause)
    if ending is Ending.KILLED and log and NOT_EXECUTED.match(log[-1]):
        why = OTHER_ARCHITECTURE if WRONG_FORMAT in log[-1].lower() else NO_PYTHON
        ending, reasons["container"] = Ending.NOT_STARTED, f"{log[-1]}: {why}"
    start = _STARTS.get(ending) if cause is not None else None
    reason = reasons["container"] or reasons["status"]
    if reason.startswith(LOCAL_STARTS):
        start = _NOT_STARTED_HERE
    here = _LOST_HERE.get(reason) if ending is Ending.HOST_LOST else None
    kind, text = _ALONE.get((ending, code)) or start or here or _WORDS[ending]
    advice = HERE if any(mark in reason for mark in LOCAL) else SPOT
    cure = f". Fix: {cause.cure}" if cause is not None and cause.cure else ""
    more = {"advice": advice, "cure": cure, **_limits(job)}
    words = text.format(exit=_exit(code), reason=reason, **more)
    message = f"job {job.get('jobId')} {words}"
    if log:
        message += "\nThe last lines of its log:\n  " + "\n  ".join(log)
    if issubclass(kind, JobError):
        return Explanation(ending, kind(message, str(job.get("jobId", "")), reason, tuple(log)))
    return Explanation(ending, kind(message))


def _limits(job: Mapping[str, Any]) -> dict[str, str]:
    """Say what the job was allowed, as far as Batch tells."""
    needs = job.get("container", {}).get("resourceRequirements", ())
    memory = next((one["value"] for one in needs if one["type"] == "MEMORY"), None)
    seconds = job.get("timeout", {}).get("attemptDurationSeconds")
    return {
        "memory": f", {memory} MiB" if memory else "",
        "more": repr(format_bytes(2 * int(memory) * MIB)) if memory else "'8 GiB'",
        "timeout": f", {seconds} s" if seconds else "",
    }


def _cause(job: Mapping[str, Any], reasons: Mapping[str, str]) -> Cause | None:
    """Tell why a container did not start, or why nobody knows how it ended, if that is so.

    What the network spoils time after time isn't tried for ever: no machine of its subnets will do.
    """
    cause = cause_of(reasons["container"]) or cause_of(reasons["status"])
    if cause is None or cause.fault is not Blame.NETWORK:
        return cause
    tries = [
        cause_of(one.get("container", {}).get("reason", "") or one.get("statusReason", ""))
        for one in job.get("attempts", ())
    ]
    is_usual = sum(1 for one in tries if one is not None and one.fault is Blame.NETWORK)
    return cause._replace(fault=Blame.OWN) if is_usual >= ACCIDENTS else cause


def _ending(
    job: Mapping[str, Any], reasons: Mapping[str, str], code: int | None, cause: Cause | None
) -> Ending:
    for rule in RULES:
        if fnmatchcase(reasons[rule.field], rule.pattern):
            return rule.ending
    if job.get("isTerminated") or job.get("isCancelled"):
        return Ending.TERMINATED
    if job.get("status") == "SUCCEEDED":
        return Ending.UNREADABLE
    if cause is not None and code is None:
        return Ending.NOT_STARTED if cause.fault is Blame.OWN else Ending.HOST_LOST
    if code is None:
        is_known = job.get("status") and not reasons["status"].startswith(CONTAINER_EXITED)
        return Ending.NOT_STARTED if is_known else Ending.HOST_LOST
    return _EXITS.get(code, Ending.KILLED)


def _exit(code: int | None) -> str:
    if code is None:
        return "without an exit code"
    if code > 128:
        return f"by signal {code - 128} (exit code {code})"
    return f"with exit code {code}"


_EXITS = {
    exits.NOT_RUN: Ending.HOST_LOST,
    exits.MISTAKE: Ending.KILLED,  # it may be due to one task: the others must not suffer
    exits.NOT_LOADED: Ending.NOT_LOADED,
    exits.OTHER_VERSIONS: Ending.OTHER_VERSIONS,
    exits.NOT_SET_UP: Ending.NOT_SET_UP,
}

#: What tells that a job ran on this machine, and what helps when a machine is lost.
LOCAL = ("(instance local)", "(docker)")
SPOT = "on Spot capacity, on-demand instances are safer"
HERE = (
    "find out what killed processes on this machine: too little memory, a full disk, a "
    "person or another program"
)
#: How it begins that a process of this machine never ran, and what to look at there.
LOCAL_STARTS = ("CannotStartProcessError", "CannotStartJobError")
_NOT_STARTED_HERE = (
    JobStartError,
    "never started: {reason}. Look whether this machine has memory, processes (`ulimit -u`) and "
    "room on its disk left, and retry",
)

#: What the program in the job says by its exit code, where that is more than its ending.
_ALONE: dict[tuple[Ending, int | None], tuple[type[KnotError], str]] = {
    (Ending.HOST_LOST, exits.NOT_RUN): (
        JobError,
        "repeatedly failed to read or write the store: either it couldn't reach the store, "
        "or what it needed there was missing or damaged. Its log says which; fix that, and "
        "retry",
    ),
    (Ending.KILLED, exits.MISTAKE): (
        InternalError,
        "stopped because of a bug in dask_knot: please report it with this log",
    ),
}

#: What is said where a container never ran, or nobody knows how it ended.
_STARTS: dict[Ending, tuple[type[JobError], str]] = {
    Ending.NOT_STARTED: (JobStartError, "never started: {reason}{cure}"),
    Ending.HOST_LOST: (
        JobStartError,
        "repeatedly failed to start on its machine, and the image isn't to blame: {reason}{cure}",
    ),
}

#: What is said of a job that was no machine's, but a process or a container here.
_LOST_HERE: dict[str, tuple[type[JobError], str]] = {
    "Host EC2 (instance local) terminated.": (
        JobError,
        "repeatedly lost its process, because the server that starts processes stopped. Try "
        "again; {advice}",
    ),
    "Host EC2 (docker) lost": (JobError, "repeatedly lost its container. Try again; {advice}"),
}

_WORDS: dict[Ending, tuple[type[JobError], str]] = {
    Ending.KILLED: (
        KilledTaskError,
        "ended {exit} while a task was running, so the task has no result. The task called "
        "os._exit, was killed, or crashed the interpreter; to find out, run it alone with "
        "the synchronous scheduler",
    ),
    Ending.MEMORY: (
        JobMemoryError,
        "used more memory than allowed{memory} ({reason}). Give such tasks more: "
        "client.submit(..., resources={{'MEMORY': {more}}}), or create them under `with "
        "dask.annotate(resources={{'MEMORY': {more}}}):` (put it around compute() for a "
        "whole graph). Or give all jobs more with KnotCluster(memory=...), or work on "
        "smaller pieces",
    ),
    Ending.NOT_LOADED: (
        NotLoadedError,
        "couldn't unpickle its tasks. If a package is missing, add it to the jobs' image "
        "(`dask knot image`). Your own modules are sent along if they are imported here, or "
        "if your source imports them by name; send others with client.upload_file. If the "
        "log names '__main__', something is pickled by name only: create it inside the "
        "function that uses it",
    ),
    Ending.TIMEOUT: (
        JobTimeoutError,
        "ran longer than allowed{timeout} ({reason}). Give such tasks more time: create "
        "them under `with dask.annotate(knot={{'timeout': '2 hours'}}):`. Or give all jobs "
        "more with KnotCluster(timeout=...), or split the task",
    ),
    Ending.NOT_STARTED: (
        JobStartError,
        "never started: {reason}. Check its image, its roles and the resources it asks for",
    ),
    Ending.OTHER_VERSIONS: (
        VersionsError,
        "has different versions of Python or packages than the client. Build its image "
        "again with `dask knot image`, or install the same versions here",
    ),
    Ending.NOT_SET_UP: (
        PluginError,
        "couldn't run a worker plugin's setup, so none of its tasks ran. Fix the plugin and "
        "register it again, or unregister it, and retry the futures",
    ),
    Ending.TERMINATED: (
        JobTerminatedError,
        "was terminated: {reason}. Submit again if you didn't mean that",
    ),
    Ending.UNREADABLE: (
        KilledTaskError,
        "repeatedly ended {exit} without leaving a manifest in the store. Either a task "
        "called os._exit(0), or somebody is deleting objects from the store",
    ),
    Ending.HOST_LOST: (
        JobError,
        "repeatedly lost its machine ({reason}). Try again; {advice}",
    ),
    Ending.LEFT: (JobError, "is no longer needed: {reason}"),
    Ending.DEPENDENCY_FAILED: (
        JobError,
        "didn't start because a job it depends on failed ({reason})",
    ),
}
