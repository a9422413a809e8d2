"""Retries: which rule speaks, and what holds when none does."""

from __future__ import annotations

from typing import Any

import pytest

from dask_knot.local.retry import RetryStrategy

SPOT = [
    {"onStatusReason": "Host EC2*", "action": "RETRY"},
    {"onReason": "*", "action": "exit"},
]


def strategy(rules: list[dict[str, Any]], attempts: int = 3) -> RetryStrategy:
    return RetryStrategy.from_request({"attempts": attempts, "evaluateOnExit": rules})


@pytest.mark.parametrize(
    ("rules", "code", "reason", "status_reason", "expected"),
    [
        ([], 1, None, None, True),
        (SPOT, None, None, "Host EC2 (instance local) terminated.", True),
        (SPOT, None, None, "host ec2 (INSTANCE i-1) terminated.", True),
        (SPOT, 1, None, "Essential container in task exited", False),
        (SPOT, 137, "OutOfMemoryError: x", "Essential container in task exited", False),
        ([{"onExitCode": "7", "action": "EXIT"}], 7, None, None, False),
        ([{"onExitCode": "7", "action": "EXIT"}], 77, None, None, True),
        ([{"onExitCode": "7*", "action": "EXIT"}], 77, None, None, False),
        ([{"onExitCode": "13*", "action": "EXIT"}], None, None, None, True),
        ([{"onReason": "outofmemory*", "action": "EXIT"}], 137, "OutOfMemoryError", None, False),
        # A star that is not at the end is a letter like others.
        ([{"onReason": "*memory", "action": "EXIT"}], 137, "out of memory", None, True),
        # All conditions of a rule must match.
        ([{"onExitCode": "1", "onReason": "x*", "action": "EXIT"}], 1, "y", None, True),
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
def test_rules(
    rules: list[dict[str, Any]],
    code: int | None,
    reason: str | None,
    status_reason: str | None,
    expected: bool,
) -> None:
    assert strategy(rules).should_retry(1, code, reason, status_reason) is expected


def test_attempts_are_exhausted() -> None:
    assert strategy([], attempts=3).should_retry(2, 1, None, None)
    assert not strategy([], attempts=3).should_retry(3, 1, None, None)


def test_one_attempt_is_the_default() -> None:
    assert not RetryStrategy.from_request(None).should_retry(1, 1, None, None)
