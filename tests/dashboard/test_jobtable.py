"""What is shown of jobs is true now: not what Batch said last, nor "failed" for all that ended."""

from __future__ import annotations

from array import array
from collections import Counter

import pytest

from dask_knot.batch.rules import JobStatus
from dask_knot.batch.service import StageJob
from dask_knot.dashboard.jobtable import job_table
from dask_knot.planning import Resources
from dask_knot.prices.money import Money
from dask_knot.run.manifest import Manifest
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
    assert tuple(table[0].tasks) == names
    assert repr(table).splitlines() == [
        "stage      tasks                                                "
        "children  running  started  time  job",
        "stage 0.0  2 load, 2 inc, 2 mean_chunk, 2 mean_combine, 2 more  "
        "1         1        -        -     job-1",
    ]
    assert "<td>2 load, 2 inc, 2 mean_chunk, 2 mean_combine, 2 more</td>" in table._repr_html_()


def test_tasks_that_raised_are_counted_although_their_job_succeeds() -> None:
    tallied = counted({DONE: 1}, "boom")
    tallied.erred.update({"boom": 2})
    (row,) = table = job_table({ID: StageJob("job-1", 1, Resources())}, {ID: tallied}, False)
    assert (row.erred, row.counts) == (2, {"SUCCEEDED": 1})
    assert "boom (2 erred)" in repr(table)


def test_a_stage_that_was_not_taken_by_batch_is_no_job() -> None:
    assert (
        repr(job_table({}, {ID: counted({FAILED: 1}, "inc")}, False))
        == "no jobs yet: nothing has been computed"
    )


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
    assert head.split()[-2:] == ["cost", "job"]
    assert row.endswith("0.50 to 0.75 USD  job-1")
    assert "<th>cost</th>" in table._repr_html_()


def test_when_a_stage_began_and_how_long_it_took() -> None:
    tallied = counted({DONE: 1}, "inc")
    spans = array("d", [1000.5, 1001.0, 1001.0, 1004.0]).tobytes()
    tallied.ran({"inc": 2}, Manifest(True, 3, [], times=spans))
    (row,) = table = job_table({ID: StageJob("job-1", 1, Resources())}, {ID: tallied}, False)
    assert (row.started, row.seconds, row.retries) == (1000.5, 3.5, 2)
    assert "retries" in repr(table).splitlines()[0]


def test_a_stage_that_runs_is_counted_up_to_now() -> None:
    tallied = counted({OPEN: 1}, "inc")
    tallied.ran({"inc": 2}, Manifest(False, 1, [], times=array("d", [1000.0, 1001.0]).tobytes()))
    (row,) = job_table({ID: StageJob("job-1", 1, Resources())}, {ID: tallied}, False, {}, 1060.0)
    assert row.seconds == 60


def test_what_another_client_runs_has_no_job_here() -> None:
    job = StageJob("elsewhere-x-0000000000-000", 1, Resources(), is_foreign=True)
    table = job_table({ID: job}, {ID: counted({DONE: 1}, "inc")}, False)
    assert "of another client" in repr(table)
    assert "0000000000" not in repr(table)
