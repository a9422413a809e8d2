"""The logs of jobs: the end of each, read as often as CloudWatch answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain, islice

from dask_knot.batch.endings import Explanation, explain
from dask_knot.batch.jobs import StageJob
from dask_knot.batch.queues import Description
from dask_knot.run.names import StageId

#: Lines of a failed child's log that are kept with its error.
LOG_LINES = 20
#: So many logs of failed children are read at each look: CloudWatch answers 10 times a second.
LOGS_PER_LOOK = 20
#: So many logs are read when all are asked for.
LOGS_AT_ONCE = 100


class JobLogs:
    """Reads the logs of jobs that Batch has described.

    Parameters
    ----------
    tail : callable
        Gives the last lines of a log: ``tail(log_stream_name, lines)``.
    """

    def __init__(self, tail: Callable[[str, int], Sequence[str]]) -> None:
        self._tail = tail
        self._left = LOGS_PER_LOOK

    def begin_look(self) -> None:
        """Let as many logs of failed children be read as at each look."""
        self._left = LOGS_PER_LOOK

    def explain(self, detail: Description) -> Explanation:
        """Explain how a child ended, with the end of its log unless too many were read."""
        stream = _stream(detail)
        self._left -= bool(stream)
        has_log = stream and self._left >= 0
        return explain(detail, self._tail(stream, LOG_LINES) if has_log else ())

    def read(self, details: Iterable[Description], lines: int) -> dict[str, str]:
        """Read the last lines of the logs of jobs, by their ids; those without any are left out."""
        found = {}
        for detail in details:
            stream = _stream(detail)
            if stream and (tail := self._tail(stream, lines)):
                found[detail["jobId"]] = "\n".join(tail)
        return found


def chosen_children(jobs: Mapping[StageId, StageJob], chosen: Collection[str]) -> list[str]:
    """Name the children of the jobs that are chosen, and the children that are themselves."""
    ids: list[str] = []
    for job in jobs.values():
        ids += [id for id in job.children() if id in chosen or job.id in chosen]
    return ids


def newest_children(jobs: Mapping[StageId, StageJob], count: int = LOGS_AT_ONCE) -> list[str]:
    """Name the newest children, those that failed first."""
    latest = [*jobs.values()][::-1]
    failed = [job.child(index) for job in latest for index in sorted(job.ended)]
    rest = (id for job in latest for id in job.children())
    return list(islice(dict.fromkeys(chain(failed, rest)), count))


def _stream(detail: Description) -> str:
    return str(detail.get("container", {}).get("logStreamName") or "")
