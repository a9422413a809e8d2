"""What Dask does is told in order, once it is done with its transitions; hubs are done at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from dask.typing import Key

from dask_knot.cluster.news import News
from dask_knot.tracking import events


class World:
    """The tracker, Dask's outcomes and an event loop that runs when it is told to."""

    def __init__(self) -> None:
        self.told: list[list[events.Event]] = []
        self.finished: list[tuple[object, int]] = []
        self.calls: list[Callable[[], None]] = []
        outcomes: Any = self
        recall: Any = self
        self.recalled: dict[Key, int] = {}
        self.news = News(
            lambda news: self.told.append(list(news)), outcomes, self.calls.append, recall
        )

    def tell(self, outcomes: Sequence[Any]) -> None:
        """Take outcomes."""
        self.finished += [(outcome.key, outcome.run_id) for outcome in outcomes]

    def takes(self, key: Key, run_id: int) -> bool:
        """Take questions for keys of earlier sessions."""
        if isinstance(key, str) and key.startswith("old"):
            self.recalled[key] = run_id
            return True
        return False

    def forget(self, key: Key) -> None:
        """Note that Dask has forgotten a key."""
        self.recalled.pop(key, None)

    def close(self) -> None:
        """Ask nothing more."""
        self.recalled.clear()

    def run(self) -> None:
        """Let the event loop do what it has."""
        calls, self.calls[:] = list(self.calls), []
        for call in calls:
            call()


@pytest.fixture
def world() -> World:
    return World()


def test_it_is_told_together_and_later(world: World) -> None:
    world.news.ask("a", 1)
    world.news.release("b", is_forgotten=False)
    world.news.ask("c", 2)
    assert (world.told, len(world.calls)) == ([], 1)
    world.run()
    expected = [events.KeyAsked("a", 1), events.KeyReleased("b", False), events.KeyAsked("c", 2)]
    assert world.told == [expected]
    world.run()
    assert world.told == [expected]


def test_what_must_be_told_now_comes_behind_what_came_before(world: World) -> None:
    world.news.ask("a", 1)
    world.news.tell_now(events.ArrivalBegan())
    world.run()  # nothing is left
    assert world.told == [[events.KeyAsked("a", 1), events.ArrivalBegan()]]


def test_a_hub_is_done_when_dask_asks_for_it(world: World) -> None:
    world.news.add_hubs(["hub"])
    world.news.ask("hub", 7)
    world.run()
    assert (world.told, world.finished) == ([], [("hub", 7)])
    world.news.release("hub", is_forgotten=True)
    world.news.ask("hub", 8)  # a key of that name is like any other
    world.run()
    assert world.told == [[events.KeyReleased("hub", True), events.KeyAsked("hub", 8)]]


def test_keys_of_earlier_sessions_are_asked_of_the_run(world: World) -> None:
    world.news.ask("old", 7)
    world.news.ask("older", 8)
    world.run()
    assert (world.told, world.recalled) == ([], {"old": 7, "older": 8})
    world.news.release("old", is_forgotten=False)
    world.news.release("older", is_forgotten=True)
    world.run()
    assert world.recalled == {"old": 7}
    world.news.close()
    assert world.recalled == {}


def test_what_a_client_that_leaves_lets_go_of_is_left(world: World) -> None:
    world.news.release("a", is_forgotten=True)
    with world.news.leaving():
        world.news.release("b", is_forgotten=True)
    world.news.release("c", is_forgotten=True)
    world.run()
    assert [event.is_left for event in world.told[0]] == [False, True, False]


def test_messages_that_start_tasks_are_questions(world: World) -> None:
    left = world.news.without_questions(
        {
            "one": [{"op": "compute-task", "key": "a", "run_id": 1}, {"op": "another"}],
            "two": [{"op": "compute-task", "key": "b", "run_id": 2}, {"op": "free-keys"}],
        }
    )
    world.run()
    assert left == {"one": [{"op": "another"}]}  # the gateway has nothing to free
    assert world.told == [[events.KeyAsked("a", 1), events.KeyAsked("b", 2)]]


def test_nothing_is_told_to_nobody(world: World) -> None:
    world.news.ask("a", 1)
    world.news.close()
    world.run()
    world.news.tell_now(events.ArrivalBegan())
    assert (world.told, world.finished) == ([], [])
