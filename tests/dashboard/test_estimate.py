"""How long a plan takes, in words."""

from __future__ import annotations

import pytest

from dask_knot.dashboard.drawing import PlanDrawing
from dask_knot.dashboard.estimate import Estimate
from dask_knot.planning import Resources
from dask_knot.planning.outline import Outline, StageOutline
from dask_knot.plural import duration
from dask_knot.prices.money import Money
from dask_knot.tracking.durations import KnownFrom


def outline(
    tasks: dict[str, int], untimed: int = 0, best: float = 0.0, worst: float | None = None
) -> Outline:
    stage = StageOutline(2, tasks, best, Resources(), untimed=untimed)
    return Outline((stage,), (), (), untimed, best, worst)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "1 ms"),
        (0.0204, "20 ms"),
        (0.9996, "1 s"),
        (1.0, "1 s"),
        (1.26, "1.3 s"),
        (59.9, "60 s"),
        (119.4, "119 s"),
        (150.0, "2.5 min"),
        (240.0, "4 min"),
        (3599.0, "60 min"),
        (3600.0, "1 h"),
        (5400.0, "1.5 h"),
        (7_200.0, "2 h"),
        (90_000.0, "25 h"),
        (864_000.0, "10 days"),
    ],
)
def test_durations_are_said_as_people_do(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (outline({"a": 3}, 3), "not known yet: no task like a has run"),
        (
            outline({"a": 3, "b": 4}, 4, 250.0),
            "at least 4.2 min, with 8 jobs at once; not known yet: 4 of 7 tasks",
        ),
        (outline({"a": 3}, 0, 30.0, 30.2), "about 30 s, with 8 jobs at once"),
        (
            outline({"a": 3}, 0, 30.0, 40.0),
            "at least 30 s, at most about 40 s, with 8 jobs at once",
        ),
    ],
)
def test_the_first_line_is_the_time(plan: Outline, words: str) -> None:
    known = {"a": KnownFrom.SESSION} if plan.best else {}
    assert Estimate(plan, 8, known).lines[0] == f"time: {words}"


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (outline({"a": 3, "b": 4}, 4, 0.05), "not known yet: no task like b has run"),
        (
            outline({"a": 3}, 0, 30.0, 40.0),
            "a guess, as no such task has run: at least 30 s, at most about 40 s, with 8 jobs at "
            "once",
        ),
        (
            outline({"a": 3}, 0, 30.0, 30.0),
            "a guess, as no such task has run: about 30 s, with 8 jobs at once",
        ),
    ],
)
def test_what_dask_assumes_is_a_guess(plan: Outline, words: str) -> None:
    assert Estimate(plan, 8, {"a": KnownFrom.DASK}).lines[0] == f"time: {words}"


def test_it_says_from_where_it_is_known() -> None:
    known = {"a": KnownFrom.DASK, "b": KnownFrom.SAID, "c": KnownFrom.DASK, "z": KnownFrom.SESSION}
    estimate = Estimate(outline({"a": 1, "b": 1, "c": 1}, 0, 1.0, 1.0), 8, known)
    assert estimate.lines[1:] == [
        "known: b (given by dask.annotate(knot={'seconds': ...})); a, c (Dask's default)"
    ]
    assert estimate.known == {name: known[name] for name in "abc"}


def test_long_lists_are_cut() -> None:
    names = {f"p{number}": 1 for number in range(6)}
    (_, line) = Estimate(outline(names, 6), 8).lines
    assert line.startswith("not known: p0, p1, p2, p3, 2 more (nothing is assumed: ")


def test_of_no_tasks_there_is_nothing_to_say() -> None:
    assert Estimate(Outline((), (), ()), 8).lines == []


def test_money_is_said_after_time() -> None:
    estimate = Estimate(outline({"a": 1}, 1), 8, money=["money: 1.00 USD"], cost=Money(1))
    assert estimate.lines[1] == "money: 1.00 USD"
    assert PlanDrawing(estimate).money == Money(1)
