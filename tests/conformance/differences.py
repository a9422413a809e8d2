"""Tests that are known not to pass, in groups with a reason, and what a run makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

#: Outcomes that count as failed.
BAD = {"failed", "begun"}
#: Outcomes that show a test to work.
GOOD = {"passed", "xpassed"}


@dataclass(frozen=True)
class Differences:
    """What is expected not to pass, from ``differences.yaml``."""

    #: Why, by the name of the group.
    why: dict[str, str]
    #: The group of each test, by its name with or without parameters.
    group: dict[str, str]
    #: What a failure says that belongs to a group whatever the test, such as a refusal by design.
    said: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Differences:
        """Read the file; raises ValueError if a test stands there twice."""
        why: dict[str, str] = {}
        group: dict[str, str] = {}
        said: dict[str, str] = {}
        for name, entry in yaml.safe_load(path.read_text()).items():
            why[name] = " ".join(entry["why"].split())
            if "says" in entry:
                said[entry["says"]] = name
            for test in entry.get("tests", []):
                if test in group:
                    raise ValueError(f"{test} stands in {group[test]} and in {name}")
                group[test] = name
        return cls(why, group, said)

    def group_of(self, test: str, why: str) -> str | None:
        """Return the group of a failure; a name without parameters stands for all of them."""
        listed = self.group.get(test) or self.group.get(test.partition("[")[0])
        said = (name for text, name in self.said.items() if text in why)
        return listed or next(said, None)


@dataclass
class Verdict:
    """What a run shows, compared with what is expected."""

    #: Failed, and are not expected to: the reason that pytest gave.
    unexpected: dict[str, str] = field(default_factory=dict)
    #: Failed, as expected: their groups.
    expected: dict[str, str] = field(default_factory=dict)
    #: Passed in all their parameters, though listed as failing: their groups.
    mended: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a test ended on one cluster."""

    #: ``passed``, ``failed``, ``skipped``, ``xfailed``, ``xpassed``; ``begun``: it never ended.
    outcome: str
    why: str = ""

    @property
    def is_bad(self) -> bool:
        return self.outcome in BAD


def judge(outcomes: Mapping[str, Outcome], differences: Differences) -> Verdict:
    """Compare the outcomes of a run on a KnotCluster with the list."""
    verdict = Verdict()
    passed: set[str] = set()
    for test, outcome in outcomes.items():
        group = differences.group_of(test, outcome.why)
        if outcome.is_bad and group is None:
            verdict.unexpected[test] = outcome.why or "it never ended"
        elif outcome.is_bad and group is not None:
            verdict.expected[test] = group
        elif outcome.outcome in GOOD:
            passed |= {test, test.partition("[")[0]}
    failed = {name for test in verdict.expected for name in (test, test.partition("[")[0])}
    for test in sorted((passed - failed) & differences.group.keys()):
        verdict.mended[test] = differences.group[test]
    return verdict
