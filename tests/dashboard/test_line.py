"""The words of the line that moves."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dask_knot.dashboard.line import line
from dask_knot.tracking.snapshot import Count, Snapshot


def seen(*counts: Count, waiting: int = 0) -> Snapshot:
    tasks = {f"prefix-{number}": count for number, count in enumerate(counts)}
    return Snapshot((), tasks, waiting, 0, {})


@pytest.mark.parametrize(
    ("now", "children", "lost", "words"),
    [
        (seen(), {}, 0, "reading the graph"),
        (seen(waiting=3), {}, 0, "0 of 3 tasks, being planned"),
        (seen(Count(0, 0, 1)), {}, 0, "0 of 1 task, being submitted"),
        (seen(Count(0, 0, 9)), {"SUBMITTED": 4}, 0, "0 of 9 tasks, 4 jobs submitted"),
        (seen(Count(0, 0, 9)), {"RUNNABLE": 1}, 0, "0 of 9 tasks, 1 job waiting for a machine"),
        (
            seen(Count(4, 0, 9), Count(1, 2, 3000)),
            {"RUNNING": 2, "RUNNABLE": 1200, "PENDING": 1},
            1,
            "5 of 3,009 tasks, 2 erred, 2 jobs running, 1,200 waiting for a machine, "
            "1 waiting for others, 1 job lost",
        ),
    ],
)
def test_words(now: Snapshot, children: Mapping[str, int], lost: int, words: str) -> None:
    assert line(now, children, lost, 65.9) == f"dask_knot 1:05  {words}"


def test_hours() -> None:
    assert line(seen(), {}, 0, 3601).startswith("dask_knot 1:00:01  ")
