"""Plans as text and as a picture."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from dask_knot.dashboard.drawing import PlanDrawing, PriorWork
from dask_knot.dashboard.estimate import Estimate
from dask_knot.planning import Resources
from dask_knot.planning.outline import Flow, Outline, StageOutline
from dask_knot.tracking.durations import KnownFrom

STAGES = (
    StageOutline(12, {"load": 900, "<lambda>": 12, "a": 1, "b": 1, "c": 1}, 30.0, Resources()),
    StageOutline(4, {"add": 40}, 2.0, Resources()),
    StageOutline(1, {"total": 1}, 0.001, Resources()),
)
FLOWS = (
    Flow(None, 0, 3, 12, 3 * 2**20, 0),
    Flow(0, 1, 40, 80, 8192.0, 10),
    Flow(0, 2, 1, 1, 0, 1),
    Flow(1, 2, 4, 4, 4096.0, 0),
    Flow(2, None, 1, 1, 0, 1),
)
OUTLINE = Outline(STAGES, FLOWS, ("it is <wide>", "and deep"), 0, best=30.0, worst=240.0)
KNOWN = {"load": KnownFrom.SAID, "add": KnownFrom.SESSION, "elsewhere": KnownFrom.DASK}
PLAN = PlanDrawing(Estimate(OUTLINE, 8, KNOWN))


def test_the_text_says_what_is_where() -> None:
    assert repr(PLAN).splitlines() == [
        "3 stages, 17 jobs, 956 tasks",
        "time: at least 30 s, at most about 4 min, with 8 jobs at once",
        "known: load (given by dask.annotate(knot={'seconds': ...})); add (seen in this session)",
        "not known: <lambda>, a, b, c, 1 more (nothing is assumed: they are spread over as "
        "many jobs as could help)",
        "stage 0.0: 12 jobs, 915 tasks, 30 s of work",
        "    runs  900 load, 12 <lambda>, 1 a, 1 b, 1 more",
        "    reads 3 values 12 times, 3.00 MiB that exist already",
        "stage 0.1: 4 jobs, 40 tasks, 2 s of work",
        "    runs  40 add",
        "    reads 40 values 80 times, about 8.00 kiB and 10 of unknown size of stage 0.0",
        "stage 0.2: 1 job, 1 task, 1 ms of work",
        "    runs  1 total",
        "    reads 1 value of unknown size of stage 0.0",
        "    reads 4 values, about 4.00 kiB of stage 0.1",
        "    gives 1 value of unknown size to you",
        "why it is cut this way: .why of this plan",
    ]


@pytest.mark.parametrize(
    ("untimed", "words"),
    [
        (0, "4 jobs, 40 tasks, 90 s of work"),
        (40, "4 jobs, 40 tasks, of unknown length"),
        (1, "4 jobs, 40 tasks, 90 s of work and 1 task of unknown length"),
    ],
)
def test_a_stage_says_what_is_unknown_of_it(untimed: int, words: str) -> None:
    stage = StageOutline(4, {"add": 40}, 90.0, Resources(), untimed=untimed)
    plan = PlanDrawing(Estimate(Outline((stage,), (), ()), slots=1))
    assert f"stage 0.0: {words}" in repr(plan).splitlines()


def test_reasons_are_told_on_demand_only() -> None:
    assert "it is <wide>" not in repr(PLAN)
    assert repr(PLAN).splitlines()[-1] == "why it is cut this way: .why of this plan"
    assert repr(PLAN.why) == "it is <wide>\nand deep"
    assert tuple(PLAN.why) == PLAN.reasons
    quiet = PlanDrawing(Estimate(Outline(STAGES, FLOWS, ()), slots=8))
    assert "why" not in repr(quiet)
    assert "why" not in quiet._repr_html_()


def test_the_picture_has_a_box_for_each_stage_and_an_arrow_for_each_flow() -> None:
    html = PLAN._repr_html_()
    picture = html[html.index("<svg") : html.index("</svg>") + len("</svg>")]
    drawn = ElementTree.fromstring(picture)
    name = "{http://www.w3.org/2000/svg}"
    assert len(drawn.findall(f"{name}rect[@rx]")) == 3
    assert len(drawn.findall(f"{name}path")) == 3
    texts = [text.text for text in drawn.findall(f"{name}text")]
    assert "stage 0.1: 4 jobs, 40 tasks, 2 s of work" in texts
    assert "runs 900 load, 12 <lambda>, 1 a, 1 b, 1 more" in texts
    assert "4 values, about 4.00 kiB" in texts
    width = float(drawn.get("width", 0))
    assert all(float(text.get("x", 0)) < width - 50 for text in drawn.findall(f"{name}text"))
    why = html[html.index("<details>") :]
    assert "it is &lt;wide&gt;" in why
    assert "open" not in why, "it is folded until somebody wants to know"


def test_a_plan_of_nothing_says_so() -> None:
    nothing = PlanDrawing(Estimate(Outline((), (), ()), slots=8))
    assert "nothing to run" in repr(nothing)
    assert "<svg" not in nothing._repr_html_()


@pytest.mark.parametrize(
    ("prior", "lines"),
    [
        (PriorWork(713, 1000), ["713 of 1,000 tasks are there already, or being made"]),
        (
            PriorWork(1, 1, ("2 tasks are run again: <why>",)),
            ["1 of 1 task is there already, or being made", "2 tasks are run again: <why>"],
        ),
    ],
)
def test_it_says_what_a_run_has_already(prior: PriorWork, lines: list[str]) -> None:
    drawing = PlanDrawing(Estimate(Outline((), FLOWS, ()), 8), prior)
    assert repr(drawing).splitlines()[1 : 1 + len(lines)] == lines
    html = drawing._repr_html_()
    assert lines[0] in html
    assert "<why>" not in html
    assert drawing.prior is prior
