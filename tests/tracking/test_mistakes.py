"""Mistakes of our own: what waits for the tracker errs, and nothing waits for ever."""

from __future__ import annotations

from typing import NoReturn

import pytest

from dask_knot.errors import InternalError, KnotError, SubmissionError
from dask_knot.planning import make_plan
from dask_knot.tracking import actions, events, gathering, plans
from dask_knot.tracking.moves import KeyState

from .hands import Hands
from .memory import remembered


def fail(*arguments: object) -> NoReturn:
    raise ZeroDivisionError("in the tracker")


def errors(told: list[actions.Action]) -> dict[object, object]:
    """Give the failures of keys."""
    return {action.key: action.failure for action in told if isinstance(action, actions.FailKey)}


@pytest.mark.parametrize("name", ["settle", "_request"])
def test_keys_whose_plan_cant_be_asked_for_err_and_no_others(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands = Hands()
    hands.submit({"before": []}, "before")
    hands.plan()
    with monkeypatch.context() as patch:
        patch.setattr(gathering, name, fail)
        hands.tell(events.GraphSubmitted(graph_of("b", reads="before")))
        hands.tell(events.GraphSubmitted(graph_of("a")))
    assert [str(admitted.error) for admitted in hands.all(actions.Admit)] == ["in the tracker"] * 2
    told = hands.tell(events.KeyAsked("a", 5))  # later: Dask asks when all of a graph is taken
    told += hands.tell(events.KeyAsked("b", 6))
    assert errors(told).keys() == {"a", "b"}
    for error in errors(told).values():
        assert isinstance(error, InternalError)
        assert "ZeroDivisionError" in str(error)
    assert errors(hands.done).keys() == {"a", "b"}
    hands.submit({"c": []}, "c")
    hands.plan()
    for key in ("before", "c"):
        hands.finish(hands.shard_of(key))
    assert {action.key for action in hands.all(actions.FinishKey)} == {"before", "c"}
    hands.forget("a", "b", "c", "before")
    assert hands.is_clean()


def graph_of(key: str, reads: str | None = None) -> events.Graph:
    from .hands import graph

    return graph({key: [reads] if reads else []}, [key], *([reads] if reads else []))


def test_an_error_that_has_a_name_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    hands = Hands()
    error = SubmissionError("say it as it is")
    assert InternalError.of(error) is error
    with monkeypatch.context() as patch:
        patch.setattr(gathering, "settle", lambda *_: (_ for _ in ()).throw(error))
        hands.submit({"a": []}, "a")
    assert errors(hands.done) == {"a": error}


def test_what_waits_or_runs_errs_when_all_is_given_up() -> None:
    hands = Hands(slots=2)
    hands.submit({"there": []}, "there")
    hands.plan()
    hands.finish(hands.shard_of("there"))
    hands.submit({"runs": ["there"]}, "runs", external=["there"])
    hands.plan()
    hands.submit({"reads": ["runs"]}, "reads", external=["runs"])
    hands.submit({"planned": []}, "planned")
    asked = hands.last(actions.MakePlan)
    hands.tell(events.GraphSubmitted(graph_of("unasked")))
    error = KnotError("a mistake")
    told = hands.tracker.give_up(error)
    hands.done += told
    assert errors(told) == {"runs": error, "reads": error, "planned": error}
    assert [a.stage for a in told if isinstance(a, actions.TerminateStage)] == [
        hands.shard_of("runs").stage
    ]
    assert hands.tracker.is_idle
    # What was on its way comes too late, and changes nothing.
    assert hands.tell(events.PlanMade(asked.number, make_plan(asked.request))) == []
    assert errors(hands.tell(events.KeyAsked("unasked", 9))) == {"unasked": error}
    assert hands.tracker.place_of("there") is not None
    hands.submit({"new": ["there"]}, "new", external=["there"])
    hands.plan()
    (finished,) = hands.finish(hands.shard_of("new"))
    assert isinstance(finished, actions.FinishKey)
    hands.forget("there", "runs", "reads", "planned", "unasked", "new")
    assert hands.is_clean()


def test_a_plan_that_could_not_be_recorded_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    hands = Hands()
    hands.submit({"a": [], "b": []}, "a", "b")
    with monkeypatch.context() as patch:
        patch.setattr(plans, "_running_plans", fail)
        with pytest.raises(ZeroDivisionError):
            hands.plan()
    told = hands.tracker.give_up(KnotError("a mistake"))
    assert errors(told).keys() == {"a", "b"}
    states = {remembered(hands.tracker).keys[key].state for key in ("a", "b")}
    assert states == {KeyState.ERRED}
    hands.submit({"c": []}, "c")
    hands.plan()
    hands.finish(hands.shard_of("c"))
    hands.forget("a", "b", "c")
    assert hands.is_clean()


def test_a_question_that_comes_to_grief_is_answered() -> None:
    hands = Hands()
    hands.tell(events.GraphSubmitted(graph_of("a")))
    error = KnotError("a mistake")
    assert errors(hands.tracker.give_up(error, events.KeyAsked("a", 3))) == {"a": error}
    assert errors(hands.tracker.give_up(error, events.KeyAsked("unknown", 4))) == {"unknown": error}
    hands.tell(events.KeyAsked("a", 5))  # a retry
    hands.plan()
    (finished,) = hands.finish(hands.shard_of("a"))
    assert isinstance(finished, actions.FinishKey)


def test_so_is_one_for_a_value_that_went() -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    hands.plan()
    hands.finish(hands.shard_of("a"))
    hands.tell(events.KeyReleased("a", forgotten=False))
    error = KnotError("a mistake")
    assert errors(hands.tracker.give_up(error, events.KeyAsked("a", 3))) == {"a": error}
