"""Tables, targets, figures and the sweep of defaults say what was run."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.simulate import defaults, figures, page, published, report, targets
from benchmarks.simulate.__main__ import parser
from benchmarks.simulate.bound import Bound
from benchmarks.simulate.chart import Chart, Line
from benchmarks.simulate.engines import WORLDS, tempo_of
from benchmarks.simulate.grid import QUICK, USUAL, Grid, Run, run_grid
from benchmarks.simulate.numbers import Numbers
from benchmarks.simulate.policies import JOB_PER_ELEMENT
from benchmarks.simulate.workloads import WORKLOADS
from benchmarks.simulate.world import Outcome

BOUND = Bound(chain=100.0, share=50.0, packing=60.0, slowest=180.0, upload=110.0)
MADE = Outcome(120.0, 3600.0, 1800.0, 4, 7, {"put": 3, "get": 2}, {"read": 10**9, "written": 0})
OURS = Run("map", "ours", 16, False, False, True, BOUND, MADE)
OTHER = Run("map", JOB_PER_ELEMENT, 16, None, False, True, BOUND, MADE)


def with_outcome(run: Run, makespan: float, paid: float = 3600.0) -> Run:
    return replace(run, outcome=replace(MADE, makespan=makespan, vcpu_seconds_paid=paid))


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_has_a_line_for_each_run() -> None:
    slow = replace(with_outcome(OURS, 600.0), known=True)
    header, rule, *rows = report.table([slow, OTHER]).splitlines()
    assert cells(header) == [*report.HEADER]
    assert len({len(line) for line in (header, rule, *rows)}) == 1
    first, second = map(cells, rows)
    numbers = ["1.00", "0.50", "4", "7", "5", "1.00"]
    assert first == ["map", "16", "no", "ours, known", "600", "6.00", *numbers, "*"]
    assert second == ["map", "16", "no", "job-per-element", "120", "1.20", *numbers, ""]


@pytest.mark.parametrize(
    ("ours", "other", "words"),
    [
        ((149.0, 2000.0), (149.0, 3600.0), []),
        ((149.0, 3000.0), (149.0, 3600.0), ["0.83 of the vCPU-hours"]),
        ((160.0, 2000.0), (200.0, 3600.0), ["1.60 of the bound, but 0.89 of what can be had"]),
        ((500.0, 2000.0), (500.0, 3600.0), ["5.00 of the bound, and 2.78 of what can be had"]),
        ((140.0, 2000.0), (100.0, 3600.0), ["slower than a job per element: 1.40"]),
    ],
)
def test_what_misses_a_target_is_said(
    ours: tuple[float, float], other: tuple[float, float], words: list[str]
) -> None:
    runs = [with_outcome(OURS, *ours), with_outcome(OTHER, *other)]
    found = [told for _, told in targets.misses(runs)]
    assert [told[: len(word)] for told, word in zip(found, words, strict=True)] == words


def test_more_is_asked_of_plans_that_know() -> None:
    assert targets.misses([with_outcome(OURS, 140.0)]) == []
    [(_, words)] = targets.misses([replace(with_outcome(OURS, 140.0), known=True)])
    assert words.startswith("1.40 of the bound")


def test_long_tasks_may_cost_what_a_job_each_costs() -> None:
    assert targets.misses([replace(OURS, is_short=False), replace(OTHER, is_short=False)]) == []


def test_the_summary_has_a_column_for_each_policy() -> None:
    other = with_outcome(OTHER, 300.0, 7200.0)
    times, paid = report.summary([with_outcome(OURS, 160.0), other]).split("\n\n")
    assert [cells(line) for line in times.splitlines()][::2] == [
        ["makespan / bound", "slots", "bound, s", "ours, unknown", JOB_PER_ELEMENT],
        ["map", "16", "100", "1.60 *", "3.00"],
    ]
    assert cells(paid.splitlines()[2]) == ["map", "16", "1.00", "2.00"]


def test_the_page_has_the_numbers_of_the_simulated_world() -> None:
    # python -m benchmarks.simulate --numbers --docs
    assert page.take("numbers") == report.numbers_table(Numbers())


def test_the_page_has_a_place_for_every_table(tmp_path: Path) -> None:
    copy = tmp_path / "page.md"
    copy.write_text(page.PAGE.read_text())
    for name in ("numbers", "results", *(f"defaults {engine}" for engine in WORLDS)):
        page.put(name, f"a table of {name}", copy)
        assert page.take(name, copy) == f"a table of {name}"
    with pytest.raises(ValueError, match="no place for 'else'"):
        page.put("else", "a table", copy)


def test_json_has_every_run_and_every_number(tmp_path: Path) -> None:
    report.write_json(tmp_path / "runs.json", [OURS, OTHER], Numbers())
    document = json.loads((tmp_path / "runs.json").read_text())
    assert [run["policy"] for run in document["runs"]] == ["ours", JOB_PER_ELEMENT]
    assert document["runs"][0]["ratio"] == 1.2
    assert all(number["source"] for number in document["numbers"])


def test_a_grid_runs_peers_once_whether_durations_are_known_or_not() -> None:
    runs = [*run_grid(Grid(["fig2-4"], [16], [JOB_PER_ELEMENT, "lithops"], spot=[False, True]))]
    assert [(run.policy, run.known, run.spot) for run in runs] == [
        (JOB_PER_ELEMENT, None, False),
        ("lithops", None, False),
        (JOB_PER_ELEMENT, None, True),
        ("lithops", None, True),
    ]


def test_the_usual_workloads_exist() -> None:
    assert {*USUAL, *QUICK, *defaults.WORK} <= {*WORKLOADS}
    assert parser().parse_args(["--quick", "--defaults", "aws"]).defaults == ["aws"]
    assert parser().parse_args(["--defaults"]).defaults == []


def test_published_points_are_the_papers() -> None:
    assert published.FIGURE_2["Cloudknot, default"][4096] == 2457.198
    assert 150 not in published.FIGURE_3["PyWren"]
    assert 1 not in published.FIGURE_4["Cloudknot"]
    # "Cloudknot processed 25 subjects 10 % slower than Spark and Myria", "25 % slower than Dask".
    last = {name: points[25] for name, points in published.FIGURE_4.items()}
    assert last["Cloudknot"] / last["Spark"] == pytest.approx(1.10, abs=0.02)
    assert last["Cloudknot"] / last["Dask"] == pytest.approx(1.25, abs=0.02)


def test_figures_have_what_was_published_and_say_so(tmp_path: Path) -> None:
    figures.write_figures(tmp_path, drawn=[("job per element", JOB_PER_ELEMENT, False)])
    for number in (2, 3, 4):
        text = (tmp_path / f"figure-{number}.svg").read_text()
        ElementTree.fromstring(text)
        assert text.count("(published)") == len(getattr(published, f"FIGURE_{number}"))
        assert "job per element</text>" in text


def test_a_chart_keeps_its_lines_inside_its_axes() -> None:
    svg = ElementTree.fromstring(Chart("t", "n", [Line("one", {1: 0.5, 100: 2000.0})]).svg())
    circles = svg.findall("{http://www.w3.org/2000/svg}circle")
    [(left, low), (right, high)] = [(float(c.get("cx", 0)), float(c.get("cy", 0))) for c in circles]
    assert left < right
    assert 50 < high < low < 460


@pytest.mark.parametrize("engine", WORLDS)
def test_the_sweep_has_every_default_among_its_values(engine: str) -> None:
    for setting in defaults.TRIED:
        assert tempo_of(engine)[setting] in defaults.values(engine, setting)


def test_the_table_of_defaults_has_means_and_worst_cases() -> None:
    found = [
        defaults.Found(point, 1.0 if point.known else 4.0, 10.0 * point.value, 2)
        for point in defaults.points("aws", ["sorted"], 0)
    ]
    text = defaults.defaults_table("aws", found)
    rows = [cells(line) for line in text.splitlines()[2:]]
    assert len(rows) == sum(len(defaults.values("aws", setting)) for setting in defaults.TRIED)
    tempo = tempo_of("aws")
    marked = [row[1].removesuffix("*").removesuffix(" s ") for row in rows if row[1][-1] == "*"]
    assert [float(value) for value in marked] == [tempo[setting] for setting in defaults.TRIED]
    assert {tuple(row[2:6]) for row in rows} == {("4.00", "4.00", "1.00", "1.00")}


def test_a_smaller_world_keeps_proportions() -> None:
    small = WORLDS["local"].take(WORKLOADS["arguments"](16, 0))
    large = WORKLOADS["arguments"](16, 0)
    key = large.graph.wanted[0]
    assert small.seconds[key] == pytest.approx(large.seconds[key] / 1000)
    assert small.nbytes[key] == large.nbytes[key] // 1000
