"""A table of array jobs, for people: text in a terminal, HTML in a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from dask_knot.batch.service import JobService

STATES = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")

#: Rows that are shown; iterate over the table to see all.
SHOWN = 50


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job or array job: its children by state."""

    stage: str
    job_id: str
    size: int
    counts: Mapping[str, int]


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

    def __repr__(self) -> str:
        if not self._rows:
            return "no jobs yet"
        lines = ["  ".join(cell.ljust(w) for cell, w in line).rstrip() for line in self._lines()]
        if len(self._rows) > SHOWN:
            lines.insert(1, f"({len(self._rows) - SHOWN} earlier ones)")
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
        head = ["stage", "job", "children", *(state.lower() for state in used)]
        return [head] + [
            [row.stage, row.job_id, str(row.size)]
            + [str(row.counts.get(state, 0)) for state in used]
            for row in self._rows[-SHOWN:]
        ]

    def _lines(self) -> list[list[tuple[str, int]]]:
        cells = self._cells()
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return [list(zip(row, widths, strict=True)) for row in cells]


def job_table(service: JobService) -> JobTable:
    """List what a service has submitted, as Batch has it now."""
    jobs = dict(service.jobs)
    service.refresh(id for id, job in jobs.items() if not job.is_over)
    return JobTable(
        [JobRow(str(id), job.id, job.size, dict(job.counts)) for id, job in sorted(jobs.items())]
    )
