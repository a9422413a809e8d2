"""Graphs come in, may be refused or dropped, and go to the tracker before they go to Dask."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from dask import delayed
from dask.typing import Key
from distributed.protocol import deserialize, pickle

from dask_knot.cluster.arrivals import Arrival, Arrivals
from dask_knot.cluster.news import News
from dask_knot.cluster.recall import Recall
from dask_knot.digests import Digester
from dask_knot.errors import UnsupportedGraphError
from dask_knot.graphs.opening import send_graph
from dask_knot.planning import Resources
from dask_knot.session.hooks import Hooks
from dask_knot.tracking import events


class World:
    """A scheduler with one client, a session, and what is told to each, in order."""

    size = Resources()
    largest = Resources(vcpus=4, memory=2**33)
    is_here = True
    digester: Digester | None = None
    prior = None

    def __init__(self) -> None:
        self.clients: dict[str, Any] = {"client": None}
        self.tasks: dict[Key, Any] = {}
        self.log: list[str] = []
        self.reports: list[dict[str, Any]] = []
        self.notices: list[str] = []
        self.hooks = Hooks(notice=self.notices.append)
        self.during: Callable[[], object] = list
        outcomes: Any = SimpleNamespace(tell=list)
        scheduler: Any = self
        self.recall = Recall(scheduler, scheduler, "run", self.later, outcomes.tell)
        news = News(self.handle, outcomes, self.later, self.recall)
        self.arrivals = Arrivals(self, news, self, self.recall)

    def later(self, call: Callable[[], None]) -> None:
        """Dask does nothing here by itself."""

    def digest_of(self, key: Key) -> bytes | None:
        """Know of no digest: the run has no name."""

    def handle(self, happened: Iterable[events.Event]) -> None:
        """Take in what happened."""
        self.log += [type(event).__name__ for event in happened]

    def worker_names(self) -> set[str]:
        """Name the one worker; that is asked once a graph is open."""
        self.during()
        return {"gateway"}

    def report(self, msg: dict[str, Any], ts: Any = None, client: str | None = None) -> None:
        """Tell a client something."""
        self.log.append(msg["op"])
        self.reports.append(msg)

    def client_releases_keys(self, keys: Any, client: str, **options: Any) -> None:
        """Let go of keys."""
        self.log.append("released")

    async def update(self, *, expr_ser: Any, keys: set[Key], **rest: Any) -> None:
        """Take the wanted keys, as Dask does."""
        self.log.append("updated")
        seen = deserialize(expr_ser.header, expr_ser.frames).dsk
        assert {*seen} == keys
        self.tasks.update(dict.fromkeys(keys))

    def take(
        self, update: Any = None, client: str = "client", graph: Any = None, **options: Any
    ) -> list[str]:
        """Let a graph of two tasks arrive, or another one; give what happened."""
        sent = send_graph([delayed(abs)(delayed(abs)(-1)) if graph is None else graph])
        arrival = Arrival(client, sent.packed, set(sent.keys), {}, options)
        asyncio.run(self.arrivals.take(update or self.update, arrival))
        return self.log


BEGAN, ENDED = "ArrivalBegan", "ArrivalEnded"
TAKEN = ["GraphSubmitted", "updated", "GraphTaken"]


@pytest.fixture
def world() -> World:
    return World()


def test_the_tracker_knows_a_graph_before_dask_does(world: World) -> None:
    assert world.take() == [BEGAN, *TAKEN, ENDED]


def test_what_comes_from_nobody_is_not_opened(world: World) -> None:
    assert world.take(client="gone") == []


def test_actors_are_refused_with_their_own_error(world: World) -> None:
    assert world.take(actors=True) == [BEGAN, "task-erred", ENDED]
    (report,) = world.reports
    error = pickle.loads(report["exception"].data)
    assert isinstance(error, UnsupportedGraphError)


def test_a_client_that_leaves_meanwhile_gets_nothing(world: World) -> None:
    world.during = world.clients.clear
    assert world.take() == [BEGAN, ENDED]


def test_a_restart_meanwhile_cancels_it(world: World) -> None:
    world.during = world.arrivals.note_restart
    assert world.take() == [BEGAN, "cancelled-keys", "released", ENDED]
    world.during = list
    world.log.clear()
    assert world.take() == [BEGAN, *TAKEN, ENDED]


def test_what_dask_raises_errs_the_keys_and_the_tracker_lets_them_go(world: World) -> None:
    async def update(**arguments: Any) -> None:
        raise ValueError("injected")

    expected = [BEGAN, "GraphSubmitted", "task-erred", "GraphTaken", ENDED]
    assert world.take(update) == expected
    assert str(pickle.loads(world.reports[0]["exception"].data)) == "injected"


def draw() -> float:
    return random.random()


def test_a_named_run_says_once_what_it_will_not_know_again(world: World) -> None:
    world.digester = Digester()
    for _ in range(2):
        world.take(graph=delayed(draw)())
    world.take()
    [line] = world.notices
    assert line.startswith("1 task can't be recognized in a later run, such as ")
