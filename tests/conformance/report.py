"""What a run prints: counts side by side, and each difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from tests.conformance.differences import BAD, GOOD, Differences, Outcome, Verdict

#: Outcomes by the name of the cluster, then of the test.
Outcomes = dict[str, dict[str, Outcome]]
#: What a test did, for people.
WORDS = {"begun": "hung or ended pytest", "failed": "failed"}


def counts(suites: Mapping[str, Outcomes], peers: list[str]) -> str:
    """Draw the table: a row for each suite, passed / failed / skipped for each cluster."""
    lines = [
        "| suite | " + " | ".join(f"{peer}: passed / failed / skipped" for peer in peers) + " |",
        "| --- |" + " --- |" * len(peers),
    ]
    for name, outcomes in suites.items():
        cells = [row(outcomes[peer]) for peer in peers]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def row(outcomes: Mapping[str, Outcome]) -> str:
    """Count the outcomes of one cluster."""
    count = Counter(outcome.outcome for outcome in outcomes.values())
    passed, failed = (sum(count[name] for name in names) for names in (GOOD, BAD))
    return f"{passed} / {failed} / {count.total() - passed - failed}"


def beside(ours: Mapping[str, Outcome], theirs: Mapping[str, Outcome]) -> list[str]:
    """Name each test that passes on one cluster and fails on the other."""
    lines = []
    for test in sorted(ours.keys() & theirs.keys()):
        if ours[test].is_bad != theirs[test].is_bad:
            bad = "knot" if ours[test].is_bad else "local"
            outcome = (ours if bad == "knot" else theirs)[test]
            lines.append(f"{test}: {WORDS[outcome.outcome]} on {bad} only: {last(outcome.why)}")
    return lines


def last(why: str) -> str:
    """Return the line of a traceback that says what happened."""
    said = [line[1:].strip() for line in why.splitlines() if line.startswith("E ")]
    return (said or why.splitlines() or [""])[0][:200]


def words(verdict: Verdict, differences: Differences) -> str:
    """Say how a run compares with the list of what is expected."""
    lines = []
    groups = Counter(verdict.expected.values())
    for group, count in groups.most_common():
        lines.append(f"{count} failed as expected, {group}: {differences.why[group]}")
    for test, group in verdict.mended.items():
        lines.append(f"{test} passes, though it is listed in {group}: take it off the list")
    for test, why in verdict.unexpected.items():
        lines.append(f"UNEXPECTED {test}: {last(why)}")
    return "\n".join(lines)
