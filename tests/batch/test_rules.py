"""States: the table of moves, and parents that are the sum of their children."""

from __future__ import annotations

import pytest

from dask_knot.batch.rules import MOVES, JobStatus, check_move, roll_up, status_summary

S = JobStatus


def test_every_state_has_its_moves_and_ended_ones_have_none() -> None:
    assert set(MOVES) == set(JobStatus)
    assert not MOVES[S.SUCCEEDED]
    assert not MOVES[S.FAILED]


def test_every_state_can_be_reached_from_the_first() -> None:
    seen, ahead = set(), {S.SUBMITTED}
    while ahead:
        seen |= ahead
        ahead = {after for before in ahead for after in MOVES[before]} - seen
    assert seen == set(JobStatus)


@pytest.mark.parametrize(
    ("before", "after"),
    [(S.SUBMITTED, S.RUNNING), (S.SUCCEEDED, S.RUNNABLE), (S.RUNNABLE, S.SUCCEEDED)],
)
def test_a_move_that_is_not_listed_is_an_error(before: S, after: S) -> None:
    with pytest.raises(ValueError, match=f"{before.value} to {after.value}"):
        check_move(before, after)


@pytest.mark.parametrize(
    ("counts", "parent"),
    [
        ({S.SUBMITTED: 3}, S.SUBMITTED),
        ({S.SUBMITTED: 2, S.SUCCEEDED: 1}, S.PENDING),
        ({S.PENDING: 3}, S.PENDING),
        ({S.RUNNABLE: 3}, S.PENDING),
        ({S.RUNNING: 3}, S.PENDING),
        ({S.RUNNING: 1, S.FAILED: 2}, S.PENDING),
        ({S.SUCCEEDED: 2, S.FAILED: 1}, S.FAILED),
        ({S.SUCCEEDED: 3, S.FAILED: 0}, S.SUCCEEDED),
    ],
)
def test_a_parent_is_pending_until_all_children_have_ended(counts: dict[S, int], parent: S) -> None:
    assert roll_up(counts) is parent


def test_a_summary_names_every_state() -> None:
    assert status_summary({S.RUNNING: 2}) == {s.value: 2 * (s is S.RUNNING) for s in S}
