"""The benchmarks' table says what was timed; the peers take turns."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from dask.tokenize import tokenize

import benchmarks.__main__ as main
from benchmarks import ignorance, limits, peaks, report, rounds, transport
from benchmarks.case import Case
from benchmarks.cases import make_cases
from benchmarks.limits import Moves
from benchmarks.peaks import Peaks

TIMES = {
    "noop": {"KnotCluster": [2.0, 1.0, 9.0], "LocalCluster": [4.0, 8.0, 9.0], "pool": [1.0]},
    "array": {"KnotCluster": [3.0], "LocalCluster": [6.0], "limit": [0.5]},
    "failed": {"LocalCluster": [1.0]},
}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_table_has_medians_and_shares() -> None:
    header, rule, *rows = report.table(TIMES).splitlines()
    assert cells(header)[1:5] == ["KnotCluster", "LocalCluster", "pool", "limit"]
    assert set("".join(cells(rule))) == {"-"}
    assert [cells(row) for row in rows] == [
        ["noop", "2.000", "8.000", "1.000", "-", "0.25", "2.00", "-"],
        ["array", "3.000", "6.000", "-", "0.500", "0.50", "-", "6.00"],
        ["failed", "-", "1.000", "-", "-", "-", "-", "-"],
    ]


def test_memory_is_shown_beside_the_others() -> None:
    ours, others = Peaks(10**9, 2 * 10**9, 5 * 10**8), Peaks(4 * 10**9, 0, 0)
    header, _, *rows = report.memory_table(
        {"array": {"KnotCluster": ours, "LocalCluster": others}, "noop": {"LocalCluster": others}}
    ).splitlines()
    assert cells(header)[1:3] == ["client, KnotCluster", "client, LocalCluster"]
    assert [cells(row) for row in rows] == [
        ["array", "1.00", "4.00", "2.00", "0.00", "0.50", "0.00"],
        ["noop", "-", "4.00", "-", "0.00", "-", "0.00"],
    ]


def test_a_child_of_a_child_is_watched_too() -> None:
    program = "held = bytearray(b'x' * 64_000_000); print(flush=True); input()"
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {program!r}])"
    pipe = subprocess.PIPE
    with peaks.watching() as watch:
        watch.begin()
        with subprocess.Popen([sys.executable, "-c", nested], stdin=pipe, stdout=pipe) as child:
            assert child.stdout is not None
            child.stdout.readline()
            held = watch.end()
            child.communicate(b"\n")
        watch.begin()
        assert watch.end().jobs < 32_000_000
    assert 64_000_000 < held.jobs < 200_000_000
    assert held.client < 32_000_000


def test_every_case_has_a_name_of_its_own() -> None:
    names = [case.name for case in make_cases()]
    assert len(names) == len(set(names))


def test_cases_without_their_memory_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.fits(Case("small", lambda client: None, memory=1))
    assert not main.fits(Case("huge", lambda client: None, memory=10**18))
    assert "huge: left out" in capsys.readouterr().err


@pytest.mark.parametrize(("pieces", "shares"), [(1, [1_000]), (2, [500, 500]), (9, [500, 500])])
def test_a_single_value_is_moved_by_one_thread(pieces: int, shares: list[int]) -> None:
    asked: list[int] = []

    class Asked(ThreadPoolExecutor):
        def submit(self, move: Any, source: Any, target: Any, size: int) -> Any:  # type: ignore[override]
            asked.append(size)
            return super().submit(move, source, target, size)

    with Asked(limits.THREADS) as executor:
        assert Moves(1_000, pieces)(executor) > 0
    assert asked == shares


def test_json_has_every_time(tmp_path: Path) -> None:
    report.write_json(tmp_path / "times.json", TIMES, {"array": {"KnotCluster": Peaks(3, 2, 1)}})
    document = json.loads((tmp_path / "times.json").read_text())
    assert document["seconds"] == TIMES
    assert document["bytes"] == {"array": {"KnotCluster": {"client": 3, "jobs": 2, "shared": 1}}}
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


def test_a_case_begins_with_its_memory_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setitem(rounds.peers.PEERS, "nobody", lambda: nullcontext(ThreadPoolExecutor(1)))
    monkeypatch.setattr(rounds.peers, "warm", lambda session: None)
    monkeypatch.setattr(rounds.pages, "bring", asked.append)
    runs = {"large": lambda session: asked.append(-1), "small": lambda session: asked.append(-2)}
    rounds.time_peer({"large": {}, "small": {}}, "nobody", runs, sizes={"large": 10**9})
    assert asked == [10**9, -1, 0, -2]


def test_no_frame_is_sorted_twice() -> None:
    first, second = transport.new_series(), transport.new_series()
    assert tokenize(first) != tokenize(second)


def test_no_plan_is_faster_than_the_longest_chain_or_the_work_shared_out() -> None:
    bounds = [round(case.bound, 3) for case in ignorance.CASES]
    assert bounds == [1.8, 5.625, 2.375, 2.5, 2.5, 1.475]
    assert ignorance.Case("a chain", [3.0], first=2.0).bound == 5.0


def test_times_are_shown_over_their_bound() -> None:
    case = ignorance.CASES[0].name
    *_, line = ignorance.table({case: [(1.8, 4), (3.6, 5), (2.7, 4)]}).splitlines()
    assert cells(line) == [case, "1.80", "2.70", "1.50", "2.00", "4"]
