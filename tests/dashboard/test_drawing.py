"""Plans as text and as a picture."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from dask_knot.dashboard.drawing import PlanDrawing, PriorWork
from dask_knot.planning import Resources
from dask_knot.planning.outline import Flow, Outline, StageOutline

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
PLAN = PlanDrawing(Outline(STAGES, FLOWS, ("it is <wide>",)), slots=8)


def test_the_text_says_what_is_where() -> None:
    assert repr(PLAN).splitlines() == [
        "3 stages, 17 shards, 956 tasks, about 32.00 s of work for 8 jobs at once",
        "stage 0: 12 shards, 915 tasks, 30.00 s",
        "    runs  900 load, 12 <lambda>, 1 a, 1 b, 1 more",
        "    reads 3 values 12 times, 3.00 MiB that are there already",
        "stage 1: 4 shards, 40 tasks, 2.00 s",
        "    runs  40 add",
        "    reads 40 values 80 times, about 8.00 kiB and 10 of unknown size of stage 0",
        "stage 2: 1 shard, 1 task, 1.00 ms",
        "    runs  1 total",
        "    reads 1 value of unknown size of stage 0",
        "    reads 4 values, about 4.00 kiB of stage 1",
        "    gives 1 value of unknown size to you",
        "why: it is <wide>",
    ]


@pytest.mark.parametrize(
    ("untimed", "words"),
    [
        (0, "about 32.00 s of work for 1 job at once"),
        (956, "an assumed 32.00 s of work for 1 job at once: nothing like it has run yet"),
        (
            6,
            "about 32.00 s of work for 1 job at once, partly assumed: nothing like 6 of them has "
            "run yet",
        ),
    ],
)
def test_it_says_what_is_only_assumed(untimed: int, words: str) -> None:
    title, *_ = repr(PlanDrawing(Outline(STAGES, FLOWS, (), untimed), slots=1)).splitlines()
    assert title == f"3 stages, 17 shards, 956 tasks, {words}"


def test_the_picture_has_a_box_for_each_stage_and_an_arrow_for_each_flow() -> None:
    html = PLAN._repr_html_()
    picture = html[html.index("<svg") : html.index("</svg>") + len("</svg>")]
    drawn = ElementTree.fromstring(picture)
    name = "{http://www.w3.org/2000/svg}"
    assert len(drawn.findall(f"{name}rect[@rx]")) == 3
    assert len(drawn.findall(f"{name}path")) == 3
    texts = [text.text for text in drawn.findall(f"{name}text")]
    assert "stage 1: 4 shards, 40 tasks, 2.00 s" in texts
    assert "runs 900 load, 12 <lambda>, 1 a, 1 b, 1 more" in texts
    assert "4 values, about 4.00 kiB" in texts
    width = float(drawn.get("width", 0))
    assert all(float(text.get("x", 0)) < width - 50 for text in drawn.findall(f"{name}text"))
    assert "it is &lt;wide&gt;" in html


def test_a_plan_of_nothing_says_so() -> None:
    nothing = PlanDrawing(Outline((), (), ()), slots=8)
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
    drawing = PlanDrawing(Outline(STAGES, FLOWS, ()), 8, prior)
    assert repr(drawing).splitlines()[1 : 1 + len(lines)] == lines
    html = drawing._repr_html_()
    assert lines[0] in html
    assert "<why>" not in html
    assert drawing.prior is prior
