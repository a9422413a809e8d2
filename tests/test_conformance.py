"""What the command `python -m tests.conformance` says of outcomes, and which tests it chooses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conformance import report, suites
from tests.conformance.differences import Differences, Outcome, judge
from tests.conformance.only_client import reason_to_skip
from tests.conformance.runs import run
from tests.conformance.sample import sample
from tests.conformance.suites import Suite

LISTED = Path(__file__).parent / "conformance" / "differences.yaml"
PASSED, FAILED, SKIPPED = Outcome("passed"), Outcome("failed", "E   no"), Outcome("skipped")
KNOWN = Differences(
    {"why": "so it is"}, {"a.py::one": "why", "a.py::two[1]": "why"}, {"refused: disk": "why"}
)


def test_a_sample_is_the_same_every_time_and_leaves_no_file_out() -> None:
    names = [f"f{file}.py::test[{n}]" for file in range(20) for n in range(10)]
    chosen = sample(names, 50)
    assert {name.partition("::")[0] for name in chosen} == {f"f{file}.py" for file in range(20)}
    assert chosen == sample(reversed(names), 50)
    assert len(chosen) < 40
    assert sample(names, 1) == set(names)


@pytest.mark.parametrize(
    ("outcomes", "unexpected", "expected", "mended"),
    [
        ({"a.py::one": PASSED}, [], [], ["a.py::one"]),
        ({"a.py::one[x]": FAILED, "a.py::one[y]": PASSED}, [], ["a.py::one[x]"], []),
        ({"a.py::two[1]": FAILED, "a.py::two[2]": PASSED}, [], ["a.py::two[1]"], []),
        ({"a.py::two[2]": FAILED}, ["a.py::two[2]"], [], []),
        ({"a.py::three": Outcome("begun")}, ["a.py::three"], [], []),
        ({"a.py::four": Outcome("failed", "E: refused: disk!")}, [], ["a.py::four"], []),
        ({"a.py::one": SKIPPED, "a.py::three": SKIPPED}, [], [], []),
    ],
)
def test_outcomes_are_compared_with_the_list(
    outcomes: dict[str, Outcome], unexpected: list[str], expected: list[str], mended: list[str]
) -> None:
    verdict = judge(outcomes, KNOWN)
    assert list(verdict.unexpected) == unexpected
    assert list(verdict.expected) == expected
    assert list(verdict.mended) == mended


def test_counts_stand_side_by_side_and_differences_are_named() -> None:
    ours = {"a.py::one": FAILED, "a.py::two": PASSED, "a.py::three": SKIPPED}
    theirs = {"a.py::one": PASSED, "a.py::two": PASSED, "a.py::three": SKIPPED}
    table = report.counts({"bag": {"knot": ours, "local": theirs}}, ["knot", "local"])
    assert "| bag | 1 / 1 / 1 | 2 / 0 / 1 |" in table
    assert report.beside(ours, theirs) == ["a.py::one: failed on knot only: no"]


def test_a_test_that_ends_pytest_is_told_and_the_others_run(tmp_path: Path) -> None:
    tests = tmp_path / "test_some.py"
    tests.write_text(
        "import os\n"
        "def test_good(): pass\n"
        "def test_end(): os._exit(9)\n"
        "def test_bad(): assert 1 == 2\n"
    )
    outcomes = run(Suite("some", tmp_path, [tests]), "knot", 1, tmp_path)
    assert {name: outcome.outcome for name, outcome in outcomes.items()} == {
        "test_some.py::test_good": "passed",
        "test_some.py::test_end": "begun",
        "test_some.py::test_bad": "failed",
    }


def test_tests_that_reach_more_than_a_client_are_known_by_their_source() -> None:
    async def only_client(c: Any, s: Any, a: Any, b: Any) -> None:
        await c.submit(len, "s")

    async def with_scheduler(c: Any, s: Any, a: Any, b: Any) -> None:
        assert await c.submit(len, s.address)

    async def with_workers(c: Any, s: Any, *workers: Any) -> None:
        assert workers

    async def with_nanny(c: Any, s: Any) -> None:
        Nanny(s)  # type: ignore[name-defined]  # noqa: F821

    assert reason_to_skip(only_client, 3) is None
    assert reason_to_skip(with_scheduler, 3) == "reaches the scheduler or a worker itself"
    assert reason_to_skip(with_workers, 3) == "reaches the scheduler or a worker itself"
    assert reason_to_skip(with_nanny, 0) == "makes or reaches Nanny"


def test_every_group_of_the_list_is_explained_and_every_file_is_there(project: Path) -> None:
    listed = Differences.read(LISTED)
    page = (project / "docs" / "conformance.md").read_text()
    assert [group for group in listed.why if f"`{group}`" not in page] == []
    files = {name.partition("::")[0] for name in listed.group}
    found = {
        str(path.relative_to(suite.root)) for suite in suites.installed() for path in suite.files
    }
    found |= {f"distributed/tests/{name}" for name in suites.CLIENT}
    assert files <= found


def test_a_test_that_stands_in_two_groups_is_refused(tmp_path: Path) -> None:
    (tmp_path / "twice.yaml").write_text(
        "one: {why: x, tests: ['a.py::t']}\ntwo: {why: y, tests: ['a.py::t']}\n"
    )
    with pytest.raises(ValueError, match=r"a.py::t stands in one and in two"):
        Differences.read(tmp_path / "twice.yaml")


def test_a_folder_that_is_no_checkout_is_told(tmp_path: Path) -> None:
    with pytest.raises(suites.NoTestsError, match="is no checkout of https"):
        suites.client(tmp_path, tmp_path / "scratch")
