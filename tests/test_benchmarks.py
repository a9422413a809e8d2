"""The benchmarks' table says what was timed; the peers take turns."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest

from benchmarks import ignorance, report, rounds

TIMES = {
    "noop": {"KnotCluster": [2.0, 1.0, 9.0], "LocalCluster": [4.0, 8.0, 9.0], "pool": [1.0]},
    "array": {"KnotCluster": [3.0], "LocalCluster": [6.0]},
    "failed": {"LocalCluster": [1.0]},
}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_table_has_medians_and_shares() -> None:
    header, rule, *rows = report.table(TIMES).splitlines()
    assert cells(header)[1:4] == ["KnotCluster", "LocalCluster", "pool"]
    assert set("".join(cells(rule))) == {"-"}
    assert [cells(row) for row in rows] == [
        ["noop", "2.000", "8.000", "1.000", "0.25", "2.00"],
        ["array", "3.000", "6.000", "-", "0.50", "-"],
        ["failed", "-", "1.000", "-", "-", "-"],
    ]


def test_json_has_every_time(tmp_path: Path) -> None:
    report.write_json(tmp_path / "times.json", TIMES)
    document = json.loads((tmp_path / "times.json").read_text())
    assert document["seconds"] == TIMES
    assert document["versions"].keys() == set(report.PACKAGES)


def test_another_peer_begins_each_round() -> None:
    firsts = [rounds.turns(["a", "b", "c"], number)[0] for number in range(4)]
    assert firsts == ["a", "b", "c", "a"]


def test_a_case_may_time_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rounds.peers.PEERS, "nobody", lambda: nullcontext(ThreadPoolExecutor(1)))
    monkeypatch.setattr(rounds.peers, "warm", lambda session: None)
    times: report.Times = {"own": {}, "whole": {}}
    rounds.time_peer(times, "nobody", {"own": lambda session: 123.0, "whole": lambda session: None})
    assert times["own"] == {"nobody": [123.0]}
    assert times["whole"]["nobody"][0] < 123


def test_no_plan_is_faster_than_the_longest_chain_or_the_work_shared_out() -> None:
    bounds = [round(case.bound, 3) for case in ignorance.CASES]
    assert bounds == [1.8, 5.625, 2.375, 2.5, 2.5, 1.475]
    assert ignorance.Case("a chain", [3.0], first=2.0).bound == 5.0


def test_times_are_shown_over_their_bound() -> None:
    case = ignorance.CASES[0].name
    *_, line = ignorance.table({case: [(1.8, 4), (3.6, 5), (2.7, 4)]}).splitlines()
    assert cells(line) == [case, "1.80", "2.70", "1.50", "2.00", "4"]
