"""Memory that is chosen: as little as fits what is known, as usual where nothing is."""

from __future__ import annotations

import pytest

from dask_knot.planning import Cost, Limits, Resources
from dask_knot.run.names import Names
from dask_knot.tracking.actions import Decided, MakePlan
from dask_knot.tracking.automatic import AutomaticMemory
from dask_knot.tracking.events import CostsRecalled, Graph, GraphSubmitted
from dask_knot.tracking.pace import Pace
from dask_knot.tracking.tracker import Tracker
from tests.tracking.universe import Task

USUAL = 900
STEPS = (128, 256, 512, 1024, 2048)


def fitting(peak: int) -> int | None:
    """Give the next step."""
    return next((one for one in STEPS if one >= peak), None)


@pytest.mark.parametrize(
    ("peaks", "prefixes", "memory", "why"),
    [
        ({}, {"f"}, USUAL, "900 B as usual: nothing is known about its tasks"),
        ({"g": 100}, {"f"}, USUAL, "900 B as usual: nothing is known about its tasks"),
        ({"f": 100}, {"f"}, 128, "128 B: jobs of f had 100 B"),
        ({"f": 100, "g": 300}, {"f", "g"}, 512, "512 B: jobs of g had 300 B"),
        ({"f": 100}, {"f", "g", "h"}, USUAL, "900 B as usual; nothing is known about g and 1 more"),
        (
            {"f": 1500},
            {"f", "g"},
            2048,
            "2.00 kiB: jobs of f had 1.46 kiB; nothing is known about g",
        ),
        ({"f": 9000}, {"f"}, 9000, "8.79 kiB: jobs of f had 8.79 kiB"),
    ],
)
def test_what_is_chosen_and_why(
    peaks: dict[str, int], prefixes: set[str], memory: int, why: str
) -> None:
    assert AutomaticMemory(fitting, USUAL).choose(peaks, prefixes) == (memory, why)


def tracker() -> Tracker:
    """Make one that chooses memory."""
    made = Tracker(Names("run"), Limits(2), Resources(memory=USUAL), Pace(0.0, 0.0))
    made.memory.automatic = AutomaticMemory(fitting, USUAL)
    return made


def graph(*prefixes: str, code: bytes = b"") -> Graph:
    """Make a graph of a task of each prefix."""
    keys = [f"{prefix}-{number}" for number, prefix in enumerate(prefixes)]
    marks = dict.fromkeys(prefixes, code) if code else {}
    return Graph({key: Task({}.keys()) for key in keys}, keys, marks=marks)


def test_a_plan_has_the_memory_that_its_tasks_need_and_it_is_said_once() -> None:
    made = tracker()
    made.handle(CostsRecalled({("f", b""): Cost(1.0)}, peaks={("f", b""): 300}), 0.0)
    said, sizes = [], []
    for now in (1.0, 2.0, 3.0):
        actions = made.handle(GraphSubmitted(graph("f" if now < 3 else "g")), now)
        said += [one.text for one in actions if isinstance(one, Decided)]
        sizes += [one.request.default.memory for one in actions if isinstance(one, MakePlan)]
    assert said == [
        "memory of jobs: 512 B: jobs of f had 300 B",
        "memory of jobs: 900 B as usual: nothing is known about its tasks",
    ]
    assert sizes[0] == 512


def test_what_is_known_of_other_code_says_nothing() -> None:
    made = tracker()
    made.handle(CostsRecalled(peaks={("f", b"old"): 300}), 0.0)
    [said] = [
        one.text
        for one in made.handle(GraphSubmitted(graph("f", code=b"new")), 1.0)
        if isinstance(one, Decided)
    ]
    assert "nothing is known" in said


def test_a_look_ahead_says_nothing_and_knows_the_memory() -> None:
    made = tracker()
    made.handle(CostsRecalled(peaks={("f", b""): 300}), 0.0)
    seen = made.foresee(graph("f"))
    assert seen.request is not None
    assert seen.request.default.memory == 512
    assert seen.peaks == {"f": 300}
    assert [one for one in made.handle(GraphSubmitted(graph("f")), 1.0) if isinstance(one, Decided)]


def test_without_it_nothing_is_chosen() -> None:
    made = tracker()
    made.memory.automatic = None
    made.handle(CostsRecalled(peaks={("f", b""): 300}), 0.0)
    seen = made.foresee(graph("f"))
    assert seen.request is not None
    assert seen.request.default.memory == USUAL
