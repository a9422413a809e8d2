"""Whom a lost child puts the blame on."""

from __future__ import annotations

import pytest

from dask_knot.tracking.events import Ending
from dask_knot.tracking.recovery import Consequence, judge, narrowed

AGAIN, FAIL = Consequence.PLAN_AGAIN, Consequence.FAIL


@pytest.mark.parametrize(
    ("ending", "size", "attempts", "verdict"),
    [
        (Ending.KILLED, 1, 0, AGAIN),
        (Ending.KILLED, 1, 1, AGAIN),
        (Ending.KILLED, 1, 2, FAIL),
        (Ending.KILLED, 2, 0, AGAIN),
        (Ending.KILLED, 2, 7, AGAIN),
        (Ending.KILLED, 2, 8, FAIL),
        (Ending.MEMORY, 1, 0, FAIL),
        (Ending.MEMORY, 100, 3, AGAIN),
        (Ending.TIMEOUT, 1, 0, FAIL),
        (Ending.TIMEOUT, 2, 0, AGAIN),
        (Ending.HOST_LOST, 1, 0, AGAIN),
        (Ending.HOST_LOST, 1, 2, AGAIN),
        (Ending.HOST_LOST, 1, 3, FAIL),
        (Ending.NOT_STARTED, 10, 0, FAIL),
        (Ending.TERMINATED, 10, 0, FAIL),
        (Ending.UNREADABLE, 10, 0, AGAIN),
        (Ending.UNREADABLE, 1, 2, AGAIN),
        (Ending.UNREADABLE, 1, 3, FAIL),
        (Ending.UNREADABLE, 10, 7, AGAIN),
        (Ending.UNREADABLE, 10, 8, FAIL),
        (Ending.DEPENDENCY_FAILED, 1, 0, AGAIN),
        (Ending.DEPENDENCY_FAILED, 1, 100, AGAIN),
        (Ending.LEFT, 1, 0, AGAIN),
        (Ending.LEFT, 1, 100, AGAIN),
    ],
)
def test_verdict(ending: Ending, size: int, attempts: int, verdict: Consequence) -> None:
    assert judge(ending, size, attempts) is verdict


@pytest.mark.parametrize(
    ("size", "tasks"), [(0, 1), (1, 1), (2, 1), (16, 1), (17, 2), (256, 16), (10_000, 625)]
)
def test_a_suspicious_shard_is_cut_into_sixteen(size: int, tasks: int) -> None:
    assert narrowed(size) == tasks


def test_the_search_for_one_task_among_many_ends_before_its_neighbors_are_blamed() -> None:
    size, rounds = 100_000, 0
    while size > 1:
        assert judge(Ending.KILLED, size, rounds) is AGAIN
        size, rounds = narrowed(size), rounds + 1
    assert judge(Ending.KILLED, size, rounds) is FAIL
    assert rounds < 8
