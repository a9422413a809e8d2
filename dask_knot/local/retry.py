"""Whether Batch runs a failed attempt again: ``retryStrategy`` and ``evaluateOnExit``, pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of ``evaluateOnExit``: every condition that is given must match."""

    action: str
    on_exit_code: str | None = None
    on_reason: str | None = None
    on_status_reason: str | None = None

    def matches(self, exit_code: int | None, reason: str | None, status_reason: str | None) -> bool:
        """Return whether this rule applies to an attempt that ended so."""
        code = None if exit_code is None else str(exit_code)
        return (
            _is_match(self.on_exit_code, code)
            and _is_match(self.on_reason, reason)
            and _is_match(self.on_status_reason, status_reason)
        )


@dataclass(frozen=True, slots=True)
class RetryStrategy:
    """How often a job may be tried, and which ends are worth another attempt."""

    attempts: int = 1
    rules: tuple[Rule, ...] = ()

    @classmethod
    def from_request(cls, request: Mapping[str, Any] | None) -> RetryStrategy:
        """Read the ``retryStrategy`` of a request."""
        request = request or {}
        rules = tuple(
            Rule(
                action=rule["action"].upper(),
                on_exit_code=rule.get("onExitCode"),
                on_reason=rule.get("onReason"),
                on_status_reason=rule.get("onStatusReason"),
            )
            for rule in request.get("evaluateOnExit", ())
        )
        return cls(attempts=request.get("attempts", 1), rules=rules)

    def should_retry(
        self, attempts: int, exit_code: int | None, reason: str | None, status_reason: str | None
    ) -> bool:
        """Return whether a failed attempt is followed by another, ``attempts`` having ended.

        Attempts that timed out or were terminated never get here: Batch does not retry them.
        """
        if attempts >= self.attempts:
            return False
        for rule in self.rules:
            if rule.matches(exit_code, reason, status_reason):
                return rule.action == "RETRY"
        # Batch retries what no rule speaks of, so careful lists end with onReason "*" -> EXIT.
        return True


def _is_match(pattern: str | None, text: str | None) -> bool:
    """Match as Batch does: any case, ``*`` is special at the end only, absent text is empty."""
    if pattern is None:
        return True
    pattern, text = pattern.lower(), (text or "").lower()
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    return text == pattern
