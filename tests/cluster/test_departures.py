"""What still comes from clients that left is for nobody; cancelling goes through unwanted keys."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from dask.typing import Key

from dask_knot.cluster.departures import Departures, wanted_readers


class Register:
    """A scheduler's clients: those that are known, and which of them listen."""

    def __init__(self, **listening: bool) -> None:
        self.clients: dict[str, Any] = dict.fromkeys(listening)
        self.client_comms: dict[str, Any] = {
            name: SimpleNamespace(comm=SimpleNamespace(closed=lambda here=here: not here))
            for name, here in listening.items()
        }

    def remove_client(self, client: str, stimulus_id: str | None = None) -> None:
        """Let go of a client."""
        del self.clients[client]


class Calls(list[tuple[Any, ...]]):
    """Dask's own methods, which note that they were called."""

    def __call__(self, *arguments: Any, **options: Any) -> None:
        """Note it."""
        self.append((*arguments, *options.values()))


@pytest.fixture
def calls() -> Calls:
    return Calls()


def test_who_is_not_known_releases_nothing_and_does_not_live(calls: Calls) -> None:
    departures = Departures(Register(here=True), nullcontext)
    for client in ("here", "gone"):
        departures.release_keys(calls, ["a"], client, {"stimulus_id": "x"})
        departures.heartbeat(calls, client)
    assert calls == [(["a"], "here", "x"), ("here",)]


def test_a_client_that_listens_no_more_is_told_nothing(calls: Calls) -> None:
    register = Register(here=True, gone=False)
    every = register.client_comms
    told: list[list[str]] = []
    departures = Departures(register, nullcontext)
    departures.report(lambda *message: told.append(list(register.client_comms)), {}, None, None)
    assert told == [["here"]]
    assert register.client_comms is every


def test_the_others_come_back_whatever_is_raised() -> None:
    register = Register(gone=False)

    def fails(*message: object) -> None:
        raise KeyError(message)

    with pytest.raises(KeyError):
        Departures(register, nullcontext).report(fails, {}, None, None)
    assert list(register.client_comms) == ["gone"]


def test_who_leaves_lets_go_of_all_and_holds_nothing_more(calls: Calls) -> None:
    register = Register(one=True, two=True)
    departures = Departures(register, nullcontext)
    departures.desire_keys(calls, ["a"], "one")
    departures.update_data(calls, {"who_has": {}})
    departures.leave()
    departures.desire_keys(calls, ["b"], "one")
    departures.update_data(calls, {"who_has": {}})
    assert register.clients == {}
    assert calls == [(["a"], "one"), ({},)]


def test_what_a_client_that_goes_lets_go_of_is_left(calls: Calls) -> None:
    order: list[object] = []

    @contextmanager
    def leaving() -> Iterator[None]:
        order.append("begin")
        yield
        order.append("end")

    departures = Departures(Register(one=True), leaving)
    departures.remove(lambda *client: order.append(client), "one", "x")
    assert order == ["begin", ("one", "x"), "end"]


def test_a_progress_bar_may_be_given_up_when_all_ends() -> None:
    departures = Departures(Register(), nullcontext)

    async def feed(comm: object) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(departures.feed(feed, None, {}))
    departures.leave()
    asyncio.run(departures.feed(feed, None, {}))


def test_keys_with_many_ways_between_them_are_looked_at_once() -> None:
    looks = 0

    class Task(SimpleNamespace):
        @property
        def who_wants(self) -> set[str]:
            nonlocal looks
            looks += 1
            return {"client"} if self.key == 20 else set()

    tasks: dict[Key, Any] = {number: Task(key=number) for number in range(21)}
    for number, task in tasks.items():  # as in a, b = b, client.submit(add, a, b)
        task.dependents = [tasks[n] for n in (number + 1, number + 2) if n in tasks]
    assert wanted_readers(tasks, [0, "unknown"]) == [20]
    assert looks == 21
