"""What is shown of jobs is true now: not what Batch said last, nor "failed" for all that ended."""

from __future__ import annotations

from collections import Counter

import pytest

from dask_knot.batch.rules import JobStatus
from dask_knot.batch.service import StageJob
from dask_knot.dashboard.jobtable import job_table
from dask_knot.planning import Resources
from dask_knot.prices.money import Money
from dask_knot.run.names import StageId
from dask_knot.tracking.moves import ShardState
from dask_knot.tracking.tally import Tally, tally

OPEN, DONE, FAILED, DROPPED = ShardState
ID = StageId(0, 0)


def counted(shards: dict[ShardState, int], *prefixes: str) -> Tally:
    """Count a stage with shards in some states."""
    found = tally(ID, frozenset(), 0)
    found.shards = Counter(shards)
    found.total = Counter(dict.fromkeys(prefixes, 2))
    return found


@pytest.mark.parametrize(
    ("shards", "children", "is_closed", "shown"),
    [
        ({OPEN: 3}, {}, False, {"SUBMITTED": 3}),
        ({OPEN: 3}, {"RUNNABLE": 1, "RUNNING": 2}, False, {"RUNNABLE": 1, "RUNNING": 2}),
        # A manifest comes before Batch knows of the end.
        ({DONE: 3}, {"RUNNABLE": 1, "RUNNING": 2}, False, {"SUCCEEDED": 3}),
        ({DONE: 2, OPEN: 1}, {"RUNNING": 3}, False, {"SUCCEEDED": 2, "RUNNING": 1}),
        ({OPEN: 1}, {"SUCCEEDED": 1}, False, {"RUNNING": 1}),
        ({FAILED: 1, DONE: 1}, {"FAILED": 1, "SUCCEEDED": 1}, False, {"FAILED": 1, "SUCCEEDED": 1}),
        # Batch takes its time to end what was cancelled, and calls it failed.
        ({DROPPED: 3}, {"RUNNING": 2, "RUNNABLE": 1}, False, {"RUNNING": 2, "RUNNABLE": 1}),
        ({DROPPED: 3}, {"FAILED": 3}, False, {"CANCELLED": 3}),
        (
            {DROPPED: 1, DONE: 1},
            {"FAILED": 1, "SUCCEEDED": 1},
            False,
            {"CANCELLED": 1, "SUCCEEDED": 1},
        ),
        # Nobody looks after the close, which ended all.
        ({OPEN: 1, DROPPED: 1, DONE: 1}, {"RUNNING": 3}, True, {"CANCELLED": 2, "SUCCEEDED": 1}),
    ],
)
def test_children_by_state(
    shards: dict[ShardState, int],
    children: dict[str, int],
    is_closed: bool,
    shown: dict[str, int],
) -> None:
    job = StageJob(
        "job-1",
        sum(shards.values()),
        Resources(),
        counts={JobStatus(name): count for name, count in children.items()},
    )
    (row,) = job_table({ID: job}, {ID: counted(shards)}, is_closed)
    assert row.counts == shown
    assert sum(row.counts.values()) == row.size


def test_it_names_what_runs() -> None:
    names = ("load", "inc", "mean_chunk", "mean_combine", "mean_agg", "<lambda>")
    jobs = {ID: StageJob("job-1", 1, Resources(), counts={JobStatus.RUNNING: 1})}
    table = job_table(jobs, {ID: counted({OPEN: 1}, *names)}, False)
    assert table[0].tasks == names
    assert repr(table).splitlines() == [
        "stage           job    tasks                                        children  running",
        "stage 0.0  job-1  load, inc, mean_chunk, mean_combine, 2 more  1         1",
    ]
    assert "<td>load, inc, mean_chunk, mean_combine, 2 more</td>" in table._repr_html_()


def test_tasks_that_raised_are_counted_although_their_job_succeeds() -> None:
    tallied = counted({DONE: 1}, "boom")
    tallied.erred.update({"boom": 2})
    (row,) = table = job_table({ID: StageJob("job-1", 1, Resources())}, {ID: tallied}, False)
    assert (row.erred, row.counts) == (2, {"SUCCEEDED": 1})
    assert "boom (2 erred)" in repr(table)


def test_a_stage_that_was_not_taken_by_batch_is_no_job() -> None:
    assert repr(job_table({}, {ID: counted({FAILED: 1}, "inc")}, False)) == "no jobs yet"


def test_the_newest_are_shown() -> None:
    ids = [StageId(number, 0) for number in range(51)]
    jobs = {id: StageJob(f"job-{id.plan}", 1, Resources()) for id in ids}
    table = job_table(jobs, {id: counted({DONE: 1}, "inc") for id in ids}, False)
    lines = repr(table).splitlines()
    assert lines[1] == "(1 earlier job)"
    assert len(lines) == 52
    assert len(table) == 51


def test_what_stages_cost_has_a_column_where_they_cost_anything() -> None:
    jobs = {ID: StageJob("job-1", 1, Resources())}
    counts = {ID: counted({DONE: 1}, "inc")}
    assert "cost" not in repr(job_table(jobs, counts, False))
    table = job_table(jobs, counts, False, {str(ID): Money(0.5, 0.75)})
    head, row = repr(table).splitlines()
    assert head.endswith("cost")
    assert row.endswith("0.50 to 0.75 USD")
    assert "<th>cost</th>" in table._repr_html_()
