"""When gathered graphs are planned: at once when idle, together when they come in a stream."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dask.typing import Key

from dask_knot.errors import KnotError
from dask_knot.planning import Limits, Resources
from dask_knot.run.names import Names
from dask_knot.tracking import actions, events
from dask_knot.tracking.drafts import Draft
from dask_knot.tracking.gathering import due
from dask_knot.tracking.inflow import Inflow
from dask_knot.tracking.pace import Pace
from dask_knot.tracking.state import TrackerState
from dask_knot.tracking.tracker import Tracker

from .hands import Hands, graph
from .memory import remembered

PACE = Pace(quiet=0.1, longest=2.0)


@pytest.mark.parametrize(
    ("open_shards", "is_urgent", "first", "last", "expected"),
    [
        (0, True, 10.0, 10.0, 10.0),  # idle, and nothing came shortly before
        (3, True, 10.0, 10.0, 10.0),  # a slot is free
        (0, False, 10.0, 10.0, 10.1),  # in a stream: until it pauses
        (0, False, 10.0, 10.5, 10.6),
        (0, False, 10.0, 11.95, 12.0),  # but not for ever
        (4, True, 10.0, 10.0, 12.0),  # busy: no hurry
        (4, False, 10.0, 10.5, 12.0),
        (9, False, 10.0, 10.5, 12.0),
    ],
)
def test_due(open_shards: int, is_urgent: bool, first: float, last: float, expected: float) -> None:
    state = TrackerState(
        Names("run"), Limits(slots=4), Resources(), Inflow(PACE), open_shards=open_shards
    )
    state.drafts.append(Draft(first, last, is_urgent))
    assert due(state) == pytest.approx(expected)


def test_nothing_is_due_without_a_graph_or_while_a_plan_is_made() -> None:
    state = TrackerState(Names("run"), Limits(slots=4), Resources(), Inflow(PACE))
    assert due(state) is None
    state.drafts.append(Draft(0.0, 0.0))
    state.planning = (0, Draft(0.0, 0.0))
    assert due(state) is None


def submit(tracker: Tracker, key: str, now: float) -> list[actions.Action]:
    return tracker.handle(events.GraphSubmitted(graph({key: []}, [key])), now)


def test_a_stream_of_small_graphs_becomes_two_plans() -> None:
    tracker = Tracker(Names("run"), Limits(slots=4), Resources(), PACE)
    (first,) = submit(tracker, "a", 10.0)
    assert isinstance(first, actions.MakePlan)
    tracker.handle(events.PlanningFailed(first.number, ValueError("over")), 10.0)
    assert submit(tracker, "b", 10.05) == []
    assert submit(tracker, "c", 10.1) == []
    assert tracker.due() == pytest.approx(10.2)
    assert tracker.handle(events.Ticked(), 10.15) == []
    (second,) = tracker.handle(events.Ticked(), 10.2)
    assert isinstance(second, actions.MakePlan)
    assert second.request.wanted == ["b", "c"]
    assert tracker.due() is None


def arrive(tracker: Tracker, key: str, begin: float, end: float) -> list[actions.Action]:
    """Take up a graph, as the scheduler does: it takes from `begin` to `end`."""
    decided = tracker.handle(events.ArrivalBegan(), begin)
    decided += submit(tracker, key, end)
    return decided + tracker.handle(events.ArrivalEnded(), end)


def test_a_busy_machine_does_not_end_a_stream() -> None:
    """Each graph takes longer than a pause, and the next one follows at once."""
    tracker = Tracker(Names("run"), Limits(slots=4), Resources(), PACE)
    (first,) = arrive(tracker, "a", 10.0, 10.3)
    assert isinstance(first, actions.MakePlan)
    tracker.handle(events.PlanningFailed(first.number, ValueError("over")), 10.3)
    for n in range(4):
        assert arrive(tracker, f"b{n}", 10.3 + 0.3 * n, 10.6 + 0.3 * n) == []
        assert tracker.handle(events.Ticked(), 10.61 + 0.3 * n) == []
    tracker.handle(events.ArrivalBegan(), 11.5)
    assert tracker.due() == pytest.approx(12.6)  # not for ever: the first has waited long enough
    (second,) = tracker.handle(events.Ticked(), 12.6)
    assert isinstance(second, actions.MakePlan)
    assert len(second.request.wanted) == 4
    tracker.handle(events.ArrivalEnded(), 12.7)  # it was refused, say
    assert tracker.due() is None


@pytest.mark.parametrize(
    ("stream", "quiet"), [(0.0, 0.1), (0.5, 0.1), (0.75, 0.15), (1.0, 0.2), (100.0, 0.2)]
)
def test_a_long_stream_may_pause_longer(stream: float, quiet: float) -> None:
    assert PACE.quiet_in(stream) == pytest.approx(quiet)


@pytest.mark.parametrize(
    ("stream", "longest"), [(0.0, 2.0), (20.0, 2.0), (50.0, 5.0), (3600.0, 20.0)]
)
def test_in_a_long_stream_a_graph_may_wait_longer(stream: float, longest: float) -> None:
    assert PACE.longest_in(stream) == pytest.approx(longest)


@pytest.mark.parametrize(
    ("last", "now", "start"),
    [
        (10.05, 10.2, 10.2),  # a pause ends a short stream
        (15.0, 15.1, 10.0),  # it was none
        (15.0, 15.3, 13.3),  # a long stream goes on, for a part
        (15.0, 16.0, 16.0),
    ],
)
def test_pauses_in_a_stream(last: float, now: float, start: float) -> None:
    stream = Inflow(PACE, last, 10.0)
    stream.note(now)
    assert (stream.last, stream.start) == (now, pytest.approx(start))
    assert stream.is_new == (start == now)


def test_no_pause_is_shorter_than_set() -> None:
    assert Pace(quiet=1.0, longest=2.0).quiet_in(100.0) == 1.0


def test_after_a_pause_a_graph_goes_at_once_again() -> None:
    tracker = Tracker(Names("run"), Limits(slots=4), Resources(), PACE)
    (first,) = submit(tracker, "a", 10.0)
    assert isinstance(first, actions.MakePlan)
    tracker.handle(events.PlanningFailed(first.number, ValueError("over")), 10.0)
    assert len(submit(tracker, "b", 10.2)) == 1


def prioritized(key: str, priority: float) -> events.GraphSubmitted:
    found = replace(graph({key: []}, [key]), priorities={key: priority}, priority=priority)
    return events.GraphSubmitted(found)


def test_what_is_made_already_for_a_draft_that_is_taken_in_is_not_made_again() -> None:
    made = Hands(Pace(0.0, 1000.0))

    def submit(reads: dict[Key, list[Key]], key: Key, priority: float, *outside: Key) -> None:
        found = replace(graph(reads, [key], *outside), priority=priority)
        made.tell(events.GraphSubmitted(found), events.KeyAsked(key, 0))

    submit({"first": []}, "first", 0)  # its plan is being made: all others wait
    submit({"x": [], "y": ["x"]}, "y", 1)
    submit({"x": []}, "x", 2)
    submit({"x": [], "z": ["x"]}, "z", 0)
    submit({"last": ["z"]}, "last", 1, "z")
    made.forget("x")
    made.plan(), made.plan()
    assert set(made.plans[1].stages[0].shards[0].outputs) == {"x"}
    assert set(made.last(actions.MakePlan).request.dependencies) == {"y", "z", "last"}
    assert not made.all(actions.TerminateStage)


def test_a_higher_priority_is_planned_first() -> None:
    tracker = Tracker(Names("run"), Limits(slots=4), Resources(), PACE)
    (first,) = tracker.handle(events.GraphSubmitted(graph({"x": []}, ["x"])), 0.0)
    assert isinstance(first, actions.MakePlan)
    for number, priority in enumerate((0, 5, -1, 5, 10)):
        assert tracker.handle(prioritized(f"k-{number}", priority), 0.01) == []
    assert [draft.priority for draft in remembered(tracker).drafts] == [10, 5, 0, -1]
    planned: list[list[Key]] = []
    while True:
        asked = events.PlanningFailed(len(planned), KnotError("no"))
        decided = tracker.handle(asked, 5.0)
        requests = [action.request for action in decided if isinstance(action, actions.MakePlan)]
        if not requests:
            break
        planned += [list(request.wanted) for request in requests]
    assert planned == [["k-4"], ["k-1", "k-3"], ["k-0"], ["k-2"]]


def test_a_stream_of_a_higher_priority_does_not_keep_others_for_ever() -> None:
    tracker = Tracker(Names("run"), Limits(slots=4), Resources(), PACE)
    tracker.handle(events.GraphSubmitted(graph({"x": []}, ["x"])), 0.0)
    tracker.handle(prioritized("low", 0), 0.01)
    planned: list[Key] = []
    for number in range(1000):  # more comes before a plan is made
        now = 0.02 + number * 0.01
        planning = remembered(tracker).planning
        decided = tracker.handle(prioritized(f"high-{number}", 1), now)
        if planning is not None:
            failed = events.PlanningFailed(planning[0], KnotError("no"))
            decided += tracker.handle(failed, now)
        requests = [action.request for action in decided if isinstance(action, actions.MakePlan)]
        planned += [key for request in requests for key in request.wanted]
    assert "low" in planned


def test_tasks_of_one_graph_are_planned_by_their_priority() -> None:
    tracker = Tracker(Names("run"), Limits(slots=4), Resources(), PACE)
    tasks = {"a": [], "b": [], "c": [], "sum": ["a", "b", "c"], "other": []}
    found = replace(graph(tasks, ["sum", "other"]), priorities={"c": 1, "other": 2}, priority=2)
    (action,) = tracker.handle(events.GraphSubmitted(found), 0.0)
    assert isinstance(action, actions.MakePlan)
    assert list(action.request.wanted) == ["other", "sum"]
    assert list(action.request.dependencies) == ["other", "c", "a", "b", "sum"]
