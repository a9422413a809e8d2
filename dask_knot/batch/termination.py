"""The end of all jobs of a cluster that closes: terminated, and waited for, within bounds.

Which stages are still open is the tracker's opinion, and it may be wrong here: a client that goes
takes its futures along, so that stages are given up whose terminations are still under way; a
stage that failed may have children that run; a child whose work is committed may hang on. What
counts is Batch's own word for each job that was submitted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from dask_knot.batch.endings import CLOSED
from dask_knot.batch.service import JobService
from dask_knot.errors import AccessError, CredentialsError
from dask_knot.plural import many

logger = logging.getLogger(__name__)

#: Batch gives a container 30 s from SIGTERM to SIGKILL, and then some for the news to arrive.
PATIENCE = 90.0
#: For so many seconds Batch may be away, or refuse for another reason than a missing permission:
#: it throttles whoever asks much, and what isn't ended now runs on.
BEARING = 10.0
#: What won't be another way a moment later.
REFUSALS = (AccessError, CredentialsError)
#: After so many seconds somebody who waits is told why.
SILENCE = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Jobs that could not be ended.

    Attributes
    ----------
    jobs : tuple of str
        Their ids.
    why : Exception or None
        What Batch said when it was asked; None if they just didn't end in time.
    """

    jobs: tuple[str, ...] = ()
    why: Exception | None = None

    def words(self, run: str, store: str, command: Callable[[str], str]) -> str:
        """Say which jobs of a run go on, and what they do; `command` gives what ends one."""
        commands = "\n  ".join(map(command, self.jobs))
        why = "they didn't stop in time" if self.why is None else self.why
        return (
            f"{many('job', len(self.jobs))} of {run} couldn't be stopped: {why}. They may "
            f"keep running, cost money and write to {store}. To stop them:\n  {commands}"
        )


def end_jobs(
    service: JobService,
    patience: float = PATIENCE,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
    reason: str = CLOSED,
) -> Leftovers:
    """Terminate all jobs of a service that aren't over, and wait until Batch says that they are.

    Those that Batch doesn't know are left to whoever runs them. Nothing more may be submitted
    meanwhile.

    Parameters
    ----------
    service : JobService
        Knows the jobs.
    patience : float
        After so many seconds those that still haven't ended are left.
    now, pause : callable
        A clock that never goes back, and what waits for so many seconds.
    reason : str
        What Batch is to say of their end.
    """
    start, delay, is_told = now(), FIRST_PAUSE, False
    asked: set[str] = set()
    while True:
        away = _look(service)
        left = [job.id for job in service.open_jobs()]
        if not left:
            return Leftovers()
        new = [id for id in left if id not in asked]
        why = _terminate(partial(_end, service, reason), new, asked, away) or away
        passed = now() - start
        is_awaited = away is None and passed <= patience and not asked.isdisjoint(left)
        if not is_awaited and (passed > BEARING or why is None or isinstance(why, REFUSALS)):
            return _left(service, why)
        if not is_told and now() - start > SILENCE:
            is_told = True
            logger.warning("waiting for %s to stop", many("job", len(left)))
        pause(delay)
        delay = min(delay * 1.5, LONGEST_PAUSE)


def _look(service: JobService) -> Exception | None:
    """Bring the jobs that aren't over up to date, or give what keeps us from that."""
    try:
        known = service.jobs
        service.refresh(id for id, job in known.items() if not (job.is_over or job.is_foreign))
        service.twins.refresh()
    except Exception as error:  # Batch is away, or doesn't tell us any more
        return error
    return None


def _end(service: JobService, reason: str, id: str) -> None:
    service.end([id], reason)


def _terminate(
    end: Callable[[str], object],
    jobs: Sequence[str],
    asked: set[str],
    away: Exception | None,
) -> Exception | None:
    """Ask for the end of jobs; note those where that was taken."""
    refused = None
    for id in reversed(jobs):  # so that none starts because the one before it was quicker
        try:
            end(id)
            asked.add(id)
        except Exception as error:  # it may be over, which the next look tells
            refused = error
            if away is not None and not isinstance(error, REFUSALS):
                break  # each would take as long
    return refused


def _left(service: JobService, why: Exception | None) -> Leftovers:
    return Leftovers(tuple(job.id for job in service.open_jobs()), why)
