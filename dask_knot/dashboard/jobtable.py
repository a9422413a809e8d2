"""A table of array jobs, for people: text in a terminal, HTML in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from dask_knot.batch import rules
from dask_knot.batch.rules import JobStatus
from dask_knot.batch.service import StageJob
from dask_knot.plural import many
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

#: Rows that are shown; iterate over the table to see all.
SHOWN = 50


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job or array job: the prefixes of its tasks, and its children by state.

    A task that raises doesn't fail its job, so those that `erred` are counted apart. `cost` is what
    is known without asking; `KnotCluster.cost` asks. It is empty where jobs cost nothing.
    """

    stage: str
    job_id: str
    size: int
    counts: Mapping[str, int]
    tasks: Sequence[str] = ()
    erred: int = 0
    cost: str = ""


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
            return "no jobs yet"
        lines = ["  ".join(cell.ljust(w) for cell, w in line).rstrip() for line in self._lines()]
        if len(self._rows) > SHOWN:
            lines.insert(1, f"({many('earlier job', len(self._rows) - SHOWN)})")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        if not self._rows:
            return "no jobs yet"
        head, *body = self._cells()
        rows = ["<tr>" + "".join(f"<th>{escape(c)}</th>" for c in head) + "</tr>"]
        rows += ["<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in body]
        return f"<table>{''.join(rows)}</table>"

    def _cells(self) -> list[list[str]]:
        used = [state for state in STATES if any(row.counts.get(state) for row in self._rows)]
        is_paid = any(row.cost for row in self._rows)
        head = ["stage", "job", "tasks", "children", *(state.lower() for state in used)]
        return [head + ["cost"] * is_paid] + [
            [row.stage, row.job_id, _words(row), str(row.size)]
            + [str(row.counts.get(state, 0)) for state in used]
            + [row.cost] * is_paid
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
    """
    return JobTable(
        [
            JobRow(
                str(id),
                job.id,
                job.size,
                _counts(tallies[id].shards, {} if is_closed else job.counts, is_closed),
                tuple(tallies[id].total),
                tallies[id].erred.total(),
                str(costs.get(str(id), "")),
            )
            for id, job in sorted(jobs.items())
            if id in tallies
        ]
    )


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
    words = list(row.tasks[:NAMED])
    if len(row.tasks) > NAMED:
        words.append(f"{len(row.tasks) - NAMED} more")
    return ", ".join(words) + (f" ({row.erred:,} erred)" if row.erred else "")
