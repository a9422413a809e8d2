"""Logs by whatever somebody may ask for them: a job, a child, or a key."""

from __future__ import annotations

from collections.abc import Hashable
from html import escape
from textwrap import indent

from dask.typing import Key

from dask_knot.batch.service import JobService
from dask_knot.run.names import parse_shard, parse_stage
from dask_knot.tracking.tracker import Tracker

#: What is said of logs that are empty.
NOTHING = "nothing was printed: none of these jobs has written to its log yet"


class PrintedLogs(dict[str, str]):
    """What jobs have printed, by the ids of jobs and children: reads as text, and says if empty."""

    def __repr__(self) -> str:
        texts = (f"job {id}\n{indent(text.rstrip(), '  ')}" for id, text in self.items())
        return "\n".join(texts) or NOTHING

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


def find_logs(what: Key | None, service: JobService, tracker: Tracker) -> PrintedLogs:
    """Read the logs of a job, a child, the child that made a key's value; None: of the newest.

    Raises
    ------
    KeyError
        If no job has that id, or is to make the value of that key.
    TypeError
        If it can't be a key.
    """
    return PrintedLogs(_found(what, service, tracker))


def _found(what: Key | None, service: JobService, tracker: Tracker) -> dict[str, str]:
    if what is None:
        return service.logs()
    if not isinstance(what, Hashable):
        raise TypeError(f"{what!r} is not a job id, future or key: ask for one at a time")
    if isinstance(what, str) and service.is_job(what):
        return service.logs([what])
    stage = parse_stage(what) if isinstance(what, str) else None
    if stage is not None and stage in service.jobs:
        return service.logs([service.jobs[stage].id])
    named = parse_shard(what) if isinstance(what, str) else None
    shard = tracker.shard_of(what) or named
    if shard is None or shard.stage not in service.jobs:
        raise KeyError(
            f"{what!r} is not a job or stage of this cluster, nor a key that one of its jobs makes"
        )
    twins = service.twins.of(shard)
    return service.logs([service.jobs[shard.stage].child(shard.index), *twins])
