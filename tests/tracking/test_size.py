"""Large graphs go through: a step per key, not per pair of keys."""

from __future__ import annotations

from dataclasses import replace

from dask.typing import Key

from dask_knot.planning import Limits, Resources, make_plan
from dask_knot.run.names import Names
from dask_knot.tracking import actions, events
from dask_knot.tracking.tracker import Pace, Tracker

from .hands import graph
from .memory import remembered


def step(tracker: Tracker, event: events.Event) -> list[actions.Action]:
    return tracker.handle(event, 0.0)


def test_a_hundred_thousand_tasks() -> None:
    tracker = Tracker(Names("run"), Limits(slots=8), Resources(), Pace(0.0, 0.0))
    reads: dict[Key, list[Key]] = {("load", n): [] for n in range(50_000)}
    reads |= {("add", n): [("load", n)] for n in range(50_000)}
    wanted: list[Key] = [("add", n) for n in range(50_000)]
    (asked,) = step(tracker, events.GraphSubmitted(graph(reads, wanted)))
    assert isinstance(asked, actions.MakePlan)
    assert len(asked.request.dependencies) == 100_000
    (sent,) = step(tracker, events.PlanMade(asked.number, make_plan(asked.request)))
    assert isinstance(sent, actions.SubmitPlan)
    assert remembered(tracker).keys.keys() == set(wanted)


def test_ten_thousand_readers_of_keys_that_are_known() -> None:
    tracker = Tracker(Names("run"), Limits(slots=8), Resources(), Pace(0.0, 0.0))
    first: dict[Key, list[Key]] = {("load", n): [] for n in range(10_000)}
    (asked,) = step(tracker, events.GraphSubmitted(graph(first, list(first))))
    assert isinstance(asked, actions.MakePlan)
    step(tracker, events.PlanMade(asked.number, make_plan(asked.request)))
    second: dict[Key, list[Key]] = {("add", n): [("load", n)] for n in range(10_000)}
    (asked,) = step(tracker, events.GraphSubmitted(graph({**first, **second}, list(second))))
    assert isinstance(asked, actions.MakePlan)
    assert asked.request.dependencies.keys() == second.keys()
    assert asked.request.external.keys() == first.keys()


def test_what_does_not_fit_is_told_before_it_is_submitted() -> None:
    tracker = Tracker(Names("run"), Limits(slots=8), Resources(), Pace(0.0, 0.0))
    (asked,) = step(tracker, events.GraphSubmitted(graph({"a": []}, ["a"])))
    assert isinstance(asked, actions.MakePlan)
    plan = replace(make_plan(asked.request), warnings=("1 job of stage 0.0 is too small",))
    told, sent = step(tracker, events.PlanMade(asked.number, plan))
    assert told == actions.Decided("1 job of stage 0.0 is too small", is_news=True)
    assert isinstance(sent, actions.SubmitPlan)
