"""Batch's rules: tables as the User Guide has them, and what holds for whatever stands in them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.batch.request import RETRIES
from dask_knot.batch.rules import (
    ENDED,
    MOVES,
    ExitRule,
    JobStatus,
    RetryStrategy,
    Wait,
    check_move,
    roll_up,
    status_behind,
    status_summary,
    upstream,
)

S = JobStatus
STATES = st.sampled_from(JobStatus)
SPOT = [
    {"onStatusReason": "Host EC2*", "action": "RETRY"},
    {"onReason": "*", "action": "exit"},
]
CONTAINER_EXITED = "Essential container in task exited"


# States


def test_every_state_has_its_moves_and_ended_ones_have_none() -> None:
    assert set(MOVES) == set(JobStatus)
    assert {status for status, after in MOVES.items() if not after} == ENDED


def test_every_state_can_be_reached_from_the_first() -> None:
    seen, ahead = set(), {S.SUBMITTED}
    while ahead:
        seen |= ahead
        ahead = {after for before in ahead for after in MOVES[before]} - seen
    assert seen == set(JobStatus)


def test_whatever_has_not_ended_may_fail_and_only_what_ran_may_succeed() -> None:
    assert {before for before, after in MOVES.items() if S.FAILED in after} == set(S) - ENDED
    assert [before for before, after in MOVES.items() if S.SUCCEEDED in after] == [S.RUNNING]


def test_only_a_retry_goes_back() -> None:
    order = list(JobStatus)
    back = [
        (before, after)
        for before, moves in MOVES.items()
        for after in moves
        if order.index(after) < order.index(before)
    ]
    assert sorted(back, key=lambda move: order.index(move[0])) == [
        (S.STARTING, S.RUNNABLE),
        (S.RUNNING, S.RUNNABLE),
    ]


@given(STATES, STATES)
def test_a_move_that_is_not_listed_is_an_error(before: S, after: S) -> None:
    if after in MOVES[before]:
        return check_move(before, after)
    with pytest.raises(ValueError, match=f"{before.value} to {after.value}"):
        check_move(before, after)


# Arrays


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


@given(st.lists(STATES, min_size=2, max_size=6))
def test_a_parent_ends_with_its_last_child_and_fails_by_any(children: list[S]) -> None:
    parent = roll_up(Counter(children))
    assert (parent in ENDED) == all(child in ENDED for child in children)
    assert parent in ENDED or parent in (S.SUBMITTED, S.PENDING)
    assert (parent is S.SUCCEEDED) == (set(children) == {S.SUCCEEDED})


def test_a_summary_names_every_state() -> None:
    assert status_summary({S.RUNNING: 2}) == {s.value: 2 * (s is S.RUNNING) for s in S}


# Dependencies


@pytest.mark.parametrize(
    ("wait", "index", "awaited"),
    [
        (Wait.ALL, 0, "array"),
        (Wait.ALL, 2, "array"),
        (Wait.N_TO_N, 0, "0"),
        (Wait.N_TO_N, 2, "2"),
        (Wait.SEQUENTIAL, 0, None),
        (Wait.SEQUENTIAL, 1, "0"),
        (Wait.SEQUENTIAL, 2, "1"),
    ],
)
def test_what_a_child_waits_for(wait: Wait, index: int, awaited: str | None) -> None:
    assert upstream(wait, index, "array", "012") == awaited


def test_the_types_are_those_of_a_request() -> None:
    assert [Wait(kind) for kind in (None, "N_TO_N", "SEQUENTIAL")] == list(Wait)


@pytest.mark.parametrize(
    ("awaited", "status"),
    [
        ([], S.RUNNABLE),
        ([S.SUCCEEDED, S.SUCCEEDED], S.RUNNABLE),
        ([S.SUCCEEDED, S.RUNNING], S.PENDING),
        ([S.SUBMITTED], S.PENDING),
        # One that fails is enough: the others are not waited for.
        ([S.RUNNING, S.FAILED], S.FAILED),
        ([S.FAILED, S.SUCCEEDED], S.FAILED),
    ],
)
def test_a_job_behind_others(awaited: list[S], status: S) -> None:
    assert status_behind(awaited) is status


@given(st.lists(STATES, max_size=6))
def test_a_job_waits_neither_longer_nor_shorter_than_what_it_waits_for(awaited: list[S]) -> None:
    status = status_behind(awaited)
    assert status in MOVES[S.SUBMITTED]
    assert status is status_behind(awaited[::-1])
    assert (status is S.FAILED) == (S.FAILED in awaited)
    assert (status is S.RUNNABLE) == (set(awaited) <= {S.SUCCEEDED})


@given(st.lists(STATES, min_size=2, max_size=6))
def test_a_failed_child_fails_its_partner_at_once_and_the_rest_when_the_array_ends(
    children: list[S],
) -> None:
    parent = roll_up(Counter(children))
    for index, child in enumerate(children):
        partner = upstream(Wait.N_TO_N, index, parent, children)
        assert partner is not None
        assert (status_behind([partner]) is S.FAILED) == (child is S.FAILED)
        whole = upstream(Wait.ALL, index, parent, children)
        assert whole is not None
        is_over = all(one in ENDED for one in children)
        assert (status_behind([whole]) is S.FAILED) == (is_over and S.FAILED in children)


@given(st.integers(2, 8), st.integers(0, 7))
def test_a_failed_child_of_a_sequential_array_fails_all_after_it(size: int, failed: int) -> None:
    children: list[S] = []
    for index in range(size):
        awaited = upstream(Wait.SEQUENTIAL, index, S.PENDING, children)
        status = status_behind([] if awaited is None else [awaited])
        is_bad = index == failed or status is S.FAILED
        children.append(S.FAILED if is_bad else S.SUCCEEDED)
    assert children.count(S.FAILED) == max(0, size - failed)


# Retries


def strategy(rules: list[dict[str, Any]], attempts: int = 3) -> RetryStrategy:
    return RetryStrategy.from_request({"attempts": attempts, "evaluateOnExit": rules})


@pytest.mark.parametrize(
    ("rules", "code", "reason", "status_reason", "is_retried"),
    [
        ([], 1, None, None, True),
        (SPOT, None, None, "Host EC2 (instance local) terminated.", True),
        (SPOT, None, None, "host ec2 (INSTANCE i-1) terminated.", True),
        (SPOT, 1, None, CONTAINER_EXITED, False),
        (SPOT, 137, "OutOfMemoryError: x", CONTAINER_EXITED, False),
        ([{"onExitCode": "7", "action": "EXIT"}], 7, None, None, False),
        ([{"onExitCode": "7", "action": "EXIT"}], 77, None, None, True),
        ([{"onExitCode": "7*", "action": "EXIT"}], 77, None, None, False),
        ([{"onExitCode": "13*", "action": "EXIT"}], None, None, None, True),
        ([{"onReason": "outofmemory*", "action": "EXIT"}], 137, "OutOfMemoryError", None, False),
        # A star that is not at the end is a letter like others.
        ([{"onReason": "*memory", "action": "EXIT"}], 137, "out of memory", None, True),
        # Nothing else is special.
        ([{"onReason": "out?of*", "action": "EXIT"}], 137, "out of memory", None, True),
        ([{"onReason": "[o]ut*", "action": "EXIT"}], 137, "out of memory", None, True),
        # All conditions of a rule must match; a rule without any matches everything.
        ([{"onExitCode": "1", "onReason": "x*", "action": "EXIT"}], 1, "y", None, True),
        ([{"action": "EXIT"}], 1, None, None, False),
        # The first rule that matches decides.
        (
            [{"onExitCode": "1", "action": "RETRY"}, {"onExitCode": "1", "action": "EXIT"}],
            1,
            None,
            None,
            True,
        ),
    ],
)
def test_what_is_tried_again(
    rules: list[dict[str, Any]],
    code: int | None,
    reason: str | None,
    status_reason: str | None,
    is_retried: bool,
) -> None:
    status = strategy(rules).status_after(1, code, reason, status_reason)
    assert status is (S.RUNNABLE if is_retried else S.FAILED)


@pytest.mark.parametrize(
    ("code", "reason", "status_reason", "is_retried"),
    [
        (None, None, "Host EC2 (instance i-1) terminated.", True),
        (None, None, "Your Spot Task was interrupted.", True),
        (None, "CannotPullContainerError: timeout", "Task failed to start", True),
        (None, "DockerTimeoutError: x", "Task failed to start", True),
        (None, "CannotStartContainerError: x", "Task failed to start", True),
        (None, "CannotCreateContainerError: x", "Task failed to start", True),
        (None, "CannotInspectContainerError: Could not transition", CONTAINER_EXITED, True),
        (None, "ResourceInitializationError: x", "Task failed to start", True),
        (None, None, "ResourceInitializationError: x", True),
        (None, None, "Timeout waiting for network interface provisioning to complete.", True),
        (None, None, "Task failed to start", True),
        (137, "OutOfMemoryError: x", "OutOfMemoryError: container killed", False),
        (143, None, CONTAINER_EXITED, False),
        (137, "OutOfMemoryError: x", CONTAINER_EXITED, False),
        (1, None, CONTAINER_EXITED, False),
    ],
)
def test_our_own_rules_try_machines_again_and_no_task(
    code: int | None, reason: str | None, status_reason: str, is_retried: bool
) -> None:
    status = strategy(RETRIES).status_after(1, code, reason, status_reason)
    assert (status is S.RUNNABLE) == is_retried


def test_attempts_are_exhausted() -> None:
    assert strategy([], attempts=3).status_after(2, 1, None, None) is S.RUNNABLE
    assert strategy([], attempts=3).status_after(3, 1, None, None) is S.FAILED


def test_one_attempt_is_the_default() -> None:
    assert RetryStrategy.from_request(None).status_after(1, 1, None, None) is S.FAILED


PATTERNS = st.none() | st.sampled_from(["", "*", "1", "1*", "Host*", "host", "x"])
TEXTS = st.none() | st.sampled_from(["", "Host", "Host EC2", "x"])
RULES = st.builds(ExitRule, st.sampled_from(["RETRY", "EXIT"]), PATTERNS, PATTERNS, PATTERNS)


@given(st.lists(RULES, max_size=5), st.integers(1, 4), st.integers(1, 4), TEXTS, TEXTS)
def test_the_first_rule_that_matches_decides(
    rules: list[ExitRule], most: int, attempts: int, reason: str | None, status_reason: str | None
) -> None:
    found = RetryStrategy(most, tuple(rules)).status_after(attempts, 1, reason, status_reason)
    matching = [one.action for one in rules if one.matches(1, reason, status_reason)]
    is_retried = attempts < most and (not matching or matching[0] == "RETRY")
    assert found is (S.RUNNABLE if is_retried else S.FAILED)
    assert found in MOVES[S.RUNNING] & MOVES[S.STARTING]


@given(st.lists(RULES, max_size=5), st.integers(1, 4))
def test_success_is_never_tried_again(rules: list[ExitRule], attempts: int) -> None:
    assert RetryStrategy(9, tuple(rules)).status_after(attempts, 0, None, None) is S.SUCCEEDED


WORDS = st.text("aBc *", max_size=5)


@given(WORDS, WORDS)
def test_a_pattern_matches_its_beginning_in_any_case(start: str, rest: str) -> None:
    text = f"{start}{rest}"
    assert ExitRule("EXIT", on_reason=f"{start.upper()}*").matches(1, text.upper(), None)
    assert ExitRule("EXIT", on_reason=text).matches(1, text, None)
