"""The rules of AWS Batch as tables: states, arrays, dependencies, retries. Pure: no clock, no I/O.

Three Batches keep them: the one of this machine (`local/`), the one that the tests of the tracker
simulate, and the one that the tests' own AWS emulates. Requests have their limits in `limits`.

Sources: AWS Batch User Guide, "Job states", "Job dependencies", "Array jobs", "Automated job
retries", and the API reference of ``SubmitJob``, ``RetryStrategy`` and ``EvaluateOnExit``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

T = TypeVar("T")

# What Batch says of jobs that ended, word for word: `statusReason`, and `container.reason`.
CONTAINER_EXITED = "Essential container in task exited"
CHILD_FAILED = "Array Child Job failed"
DEPENDENCY_FAILED = "Dependent Job failed"
NOT_STARTED = "Task failed to start"
OVERRIDES_TOO_LONG = "Container Overrides length must be at most 8192"
TIMED_OUT = "Job attempt duration exceeded timeout"
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
#: What it says of a job that no machine is large enough for; the job stays RUNNABLE.
TOO_LARGE = (
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job resource requirement "
    "(vCPU/memory/GPU) is higher than that can be met by the CE(s) attached to the job queue."
)


class JobStatus(Enum):
    """The states of AWS Batch, in the order in which a job passes them."""

    SUBMITTED = "SUBMITTED"
    PENDING = "PENDING"
    RUNNABLE = "RUNNABLE"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


_S = JobStatus

#: The legal moves of a job or an array child. A move that is not listed is an error.
MOVES: Mapping[JobStatus, frozenset[JobStatus]] = {
    _S.SUBMITTED: frozenset({_S.PENDING, _S.RUNNABLE, _S.FAILED}),
    _S.PENDING: frozenset({_S.RUNNABLE, _S.FAILED}),
    _S.RUNNABLE: frozenset({_S.STARTING, _S.FAILED}),
    # Back to RUNNABLE is how Batch retries: the job keeps its id and gets one more attempt.
    _S.STARTING: frozenset({_S.RUNNING, _S.RUNNABLE, _S.FAILED}),
    _S.RUNNING: frozenset({_S.SUCCEEDED, _S.FAILED, _S.RUNNABLE}),
    _S.SUCCEEDED: frozenset(),
    _S.FAILED: frozenset(),
}

ENDED = frozenset({_S.SUCCEEDED, _S.FAILED})
STARTED = frozenset({_S.STARTING, _S.RUNNING})
_STATUS_BY_NAME = {status.value: status for status in JobStatus}


def known_status(name: str) -> JobStatus | None:
    """Return the state of that name; None for one that a later Batch may add."""
    return _STATUS_BY_NAME.get(name)


def check_move(before: JobStatus, after: JobStatus) -> None:
    """Raise ``ValueError`` unless a job may move from ``before`` to ``after``."""
    if after not in MOVES[before]:
        raise ValueError(f"a job can't move from {before.value} to {after.value}")


def roll_up(counts: Mapping[JobStatus, int]) -> JobStatus:
    """Return the status of an array's parent, given how many children are in each state.

    A parent is never RUNNING: it is PENDING until its last child has ended. A child that fails
    fails the parent, but not before the others have ended, and not the others.
    """
    busy = [status for status, count in counts.items() if count and status not in ENDED]
    if busy:
        return _S.SUBMITTED if busy == [_S.SUBMITTED] and not _ended(counts) else _S.PENDING
    return _S.FAILED if counts.get(_S.FAILED) else _S.SUCCEEDED


def _ended(counts: Mapping[JobStatus, int]) -> int:
    return sum(counts.get(status, 0) for status in ENDED)


def status_summary(counts: Mapping[JobStatus, int]) -> dict[str, int]:
    """Return ``arrayProperties.statusSummary``: every state is named, the empty ones too."""
    return {status.value: counts.get(status, 0) for status in JobStatus}


class Wait(Enum):
    """For what of another job the children of a job wait: the ``type`` in its ``dependsOn``."""

    ALL = None  # for the whole job, all children of an array
    N_TO_N = "N_TO_N"  # each for the child of the same index, of an array of the same size
    SEQUENTIAL = "SEQUENTIAL"  # each for the child before it, of its own array


def upstream(wait: Wait, index: int, whole: T, children: Sequence[T]) -> T | None:
    """Pick what a child waits for.

    Parameters
    ----------
    wait : Wait
        How it waits.
    index : int
        Which child it is; of no account where it waits for a whole job.
    whole : T
        The job that ``dependsOn`` names, or its status.
    children : sequence of T
        The children of that job, or their states; where SEQUENTIAL those of the child's own array.

    Returns
    -------
    T or None
        One of them; None for the first child of a SEQUENTIAL array, which waits for nothing.
    """
    if wait is Wait.ALL:
        return whole
    place = index if wait is Wait.N_TO_N else index - 1
    return children[place] if place >= 0 else None


def status_behind(awaited: Iterable[JobStatus]) -> JobStatus:
    """Return the status of a job that has not started, given the states of what it waits for.

    RUNNABLE when all have succeeded; FAILED (`DEPENDENCY_FAILED`) as soon as one has failed,
    whatever the others do; PENDING until then.
    """
    states = set(awaited)
    if _S.FAILED in states:
        return _S.FAILED
    return _S.PENDING if states - {_S.SUCCEEDED} else _S.RUNNABLE


@dataclass(frozen=True, slots=True)
class ExitRule:
    """One rule of ``evaluateOnExit``: every condition that is given must match."""

    action: str
    on_exit_code: str | None = None
    on_reason: str | None = None
    on_status_reason: str | None = None

    def matches(self, exit_code: int | None, reason: str | None, status_reason: str | None) -> bool:
        """Return whether this rule applies to an attempt that ended so."""
        code = None if exit_code is None else str(exit_code)
        return (
            _is_match(self.on_exit_code, code)
            and _is_match(self.on_reason, reason)
            and _is_match(self.on_status_reason, status_reason)
        )


@dataclass(frozen=True, slots=True)
class RetryStrategy:
    """The attempts that a job may have, and the ends that are worth another one."""

    attempts: int = 1
    rules: tuple[ExitRule, ...] = ()

    @classmethod
    def from_request(cls, request: Mapping[str, Any] | None) -> RetryStrategy:
        """Read the ``retryStrategy`` of a request."""
        request = request or {}
        rules = tuple(
            ExitRule(
                action=rule["action"].upper(),
                on_exit_code=rule.get("onExitCode"),
                on_reason=rule.get("onReason"),
                on_status_reason=rule.get("onStatusReason"),
            )
            for rule in request.get("evaluateOnExit", ())
        )
        return cls(attempts=request.get("attempts", 1), rules=rules)

    def status_after(
        self, attempts: int, exit_code: int | None, reason: str | None, status_reason: str | None
    ) -> JobStatus:
        """Return the status of a job whose latest attempt has ended by itself.

        Attempts that timed out or were terminated are not asked about: Batch fails their job.

        Parameters
        ----------
        attempts : int
            How many have ended, this one included.
        exit_code : int or None
            None if there is none: the container did not start, or its machine was lost.
        reason, status_reason : str or None
            What Batch says of the container, and of the attempt.
        """
        if exit_code == 0:
            return _S.SUCCEEDED
        is_worth_it = self._should_retry(exit_code, reason, status_reason)
        return _S.RUNNABLE if attempts < self.attempts and is_worth_it else _S.FAILED

    def _should_retry(
        self, exit_code: int | None, reason: str | None, status_reason: str | None
    ) -> bool:
        for rule in self.rules:
            if rule.matches(exit_code, reason, status_reason):
                return rule.action == "RETRY"
        # Batch retries what no rule speaks of, so careful lists end with onReason "*" -> EXIT.
        return True


def is_called(name: str, patterns: Iterable[str]) -> bool:
    """Tell whether a job's name matches a filter ``JOB_NAME`` of ``ListJobs``."""
    return any(_is_match(pattern, name) for pattern in patterns)


def _is_match(pattern: str | None, text: str | None) -> bool:
    """Match as Batch does: any case, ``*`` is special at the end only, absent text is empty."""
    if pattern is None:
        return True
    pattern, text = pattern.lower(), (text or "").lower()
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    return text == pattern
