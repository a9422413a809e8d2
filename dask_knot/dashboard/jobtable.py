"""A table of array jobs, for people: text in a terminal, HTML in a notebook."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from dask_knot.batch import rules
from dask_knot.batch.rules import JobStatus
from dask_knot.batch.service import StageJob
from dask_knot.plural import duration, many
from dask_knot.prices.money import Money
from dask_knot.run.names import StageId
from dask_knot.tracking.moves import ShardState
from dask_knot.tracking.tally import Tally

#: What Batch calls failed as well, but was meant.
CANCELLED = "CANCELLED"
#: What a child can be: Batch's states, and this one.
STATES = (*(status.value for status in JobStatus), CANCELLED)
#: What a child is that is over.
ENDED = frozenset({*(status.value for status in rules.ENDED), CANCELLED})
#: The states of children that may still do something, the furthest first.
_ON_THE_WAY = [status for status in reversed(JobStatus) if status not in rules.ENDED]

#: Prefixes that are named of each job.
NAMED = 4

#: What jobs of this machine cost.
NOBODY_PAYS: Mapping[str, Money] = {}

_NONE = "no jobs yet: nothing has been computed"
_ELSEWHERE = "(of another client)"

#: Rows that are shown; iterate over the table to see all.
SHOWN = 50


@dataclass(frozen=True, slots=True)
class JobRow:
    """One stage, which is a job or array job: what it runs, and how far it is.

    Attributes
    ----------
    stage : str
        Its name, such as ``stage 1.2``.
    job_id : str
        The id of its job; empty if another client's engine has it.
    size : int
        How many children the job has: one for each shard.
    counts : mapping of str to int
        Children by state.
    tasks : mapping of str to int
        How many tasks it runs, by key prefix.
    erred : int
        Tasks that raised, or whose input failed: they don't fail their job.
    cost : str
        What is known of it without asking; `KnotCluster.cost` asks. Empty if jobs cost nothing.
    started : float
        When its first task began, in seconds since the epoch; 0 if none has told yet.
    seconds : float
        How long it took, or takes so far.
    retries : int
        How often its jobs were started again.
    """

    stage: str
    job_id: str
    size: int
    counts: Mapping[str, int]
    tasks: Mapping[str, int] = field(default_factory=dict)
    erred: int = 0
    cost: str = ""
    started: float = 0.0
    seconds: float = 0.0
    retries: int = 0


class JobTable(Sequence[JobRow]):
    """The array jobs of a cluster, newest last."""

    def __init__(self, rows: Sequence[JobRow]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self._rows[index]

    def __iter__(self) -> Iterator[JobRow]:
        return iter(self._rows)

    @property
    def unfinished(self) -> int:
        """The number of children that are not over."""
        return self._count(state for state in STATES if state not in ENDED)

    @property
    def running(self) -> int:
        """The number of children that run."""
        return self._count(status.value for status in rules.STARTED)

    def _count(self, states: Iterable[str]) -> int:
        chosen = tuple(states)
        return sum(row.counts.get(state, 0) for row in self._rows for state in chosen)

    def __repr__(self) -> str:
        if not self._rows:
            return _NONE
        lines = ["  ".join(cell.ljust(w) for cell, w in line).rstrip() for line in self._lines()]
        if len(self._rows) > SHOWN:
            lines.insert(1, f"({many('earlier job', len(self._rows) - SHOWN)})")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        if not self._rows:
            return f"<p>{_NONE}</p>"
        head, *body = self._cells()
        rows = ["<tr>" + "".join(f"<th>{escape(c)}</th>" for c in head) + "</tr>"]
        rows += ["<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in body]
        return f"<table>{''.join(rows)}</table>"

    def _cells(self) -> list[list[str]]:
        used = [state for state in STATES if any(row.counts.get(state) for row in self._rows)]
        is_paid = any(row.cost for row in self._rows)
        was_retried = any(row.retries for row in self._rows)
        head = ["stage", "tasks", "children", *(state.lower() for state in used)]
        head += ["started", "time", *(["retries"] * was_retried), *(["cost"] * is_paid), "job"]
        return [head] + [
            [row.stage, _words(row), str(row.size)]
            + [str(row.counts.get(state, 0)) for state in used]
            + [_moment(row.started), duration(row.seconds) if row.started else "-"]
            + [str(row.retries)] * was_retried
            + [row.cost] * is_paid
            + [row.job_id or _ELSEWHERE]
            for row in self._rows[-SHOWN:]
        ]

    def _lines(self) -> list[list[tuple[str, int]]]:
        cells = self._cells()
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return [list(zip(row, widths, strict=True)) for row in cells]


def job_table(
    jobs: Mapping[StageId, StageJob],
    tallies: Mapping[StageId, Tally],
    is_closed: bool,
    costs: Mapping[str, Money] = NOBODY_PAYS,
    now: float | None = None,
) -> JobTable:
    """List what was submitted, as the manifests, and Batch at the last look, tell of it.

    Parameters
    ----------
    jobs : mapping of StageId to StageJob
        What was submitted.
    tallies : mapping of StageId to Tally
        What has become of it.
    is_closed : bool
        Whether the cluster has ended all that was left, and looks no more.
    costs : mapping of str to Money
        What stages have cost so far, where they cost anything.
    now : float, optional
        The present, in seconds since the epoch, up to which what runs has taken; else the clock's.
    """
    now, rows = time.time() if now is None else now, []
    for id, job in sorted(jobs.items()):
        if (one := tallies.get(id)) is None:
            continue
        began, ended = one.span or (0.0, 0.0)
        until = ended if one.is_over or is_closed else max(now, ended)
        rows.append(
            JobRow(
                str(id),
                "" if job.is_foreign else job.id,
                job.size,
                _counts(one.shards, {} if is_closed else job.counts, is_closed),
                {prefix: count for prefix, count in one.total.items() if count},
                one.erred.total(),
                str(costs.get(str(id), "")),
                began,
                until - began if began else 0.0,
                one.retries,
            )
        )
    return JobTable(rows)


def _counts(
    shards: Mapping[ShardState, int], children: Mapping[JobStatus, int], is_closed: bool
) -> dict[str, int]:
    """Count children by state: a manifest is the truth, whatever Batch said before it was read."""
    still, dropped = shards.get(ShardState.OPEN, 0), shards.get(ShardState.DROPPED, 0)
    found = {
        JobStatus.SUCCEEDED.value: shards.get(ShardState.DONE, 0),
        JobStatus.FAILED.value: shards.get(ShardState.FAILED, 0),
    }
    left = still + dropped
    for status in _ON_THE_WAY:
        found[status.value] = min(left, children.get(status, 0))
        left -= found[status.value]
    found[CANCELLED] = left if is_closed else min(left, dropped)
    # Not seen yet by the look at Batch, or over, as Batch has it, and the manifest not read.
    unseen = JobStatus.RUNNING if children else JobStatus.SUBMITTED
    found[unseen.value] += left - found[CANCELLED]
    return {state: count for state, count in found.items() if count}


def _words(row: JobRow) -> str:
    words = [f"{count:,} {prefix}" for prefix, count in [*row.tasks.items()][:NAMED]]
    if len(row.tasks) > NAMED:
        words.append(f"{len(row.tasks) - NAMED} more")
    return ", ".join(words) + (f" ({row.erred:,} erred)" if row.erred else "")


def _moment(seconds: float) -> str:
    """Write a time by the clock on this machine's wall; of another day with its date."""
    if not seconds:
        return "-"
    then, today = time.localtime(seconds), time.localtime()
    form = "%H:%M:%S" if then[:3] == today[:3] else "%Y-%m-%d %H:%M"
    return time.strftime(form, then)
