"""What a Batch job can be, and which move may follow which: pure, no clock and no I/O here."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


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


def check_move(before: JobStatus, after: JobStatus) -> None:
    """Raise ``ValueError`` unless a job may move from ``before`` to ``after``."""
    if after not in MOVES[before]:
        raise ValueError(f"a job can't move from {before.value} to {after.value}")


def roll_up(counts: Mapping[JobStatus, int]) -> JobStatus:
    """Return the status of an array's parent, given how many children are in each state.

    A parent is never RUNNING: it is PENDING until its last child has ended.
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
