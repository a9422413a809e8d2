"""Keys that no graph has brought: the run is asked for them, and then they are like any other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import dask
import pytest
from dask.typing import Key
from distributed import Client, Future, Scheduler, Variable, Worker
from distributed.client import FutureCancelledError
from distributed.protocol import pickle

from dask_knot.cluster.gateway import GATEWAY
from dask_knot.cluster.lifetime import SCHEDULING
from dask_knot.cluster.news import News
from dask_knot.cluster.outcomes import Outcomes
from dask_knot.cluster.recall import Recall
from dask_knot.cluster.scheduler import Releases
from dask_knot.errors import MissingObjectError
from dask_knot.graphs.compaction import stand_in
from dask_knot.internals import Task, TaskRef
from dask_knot.internals.clients import future_of, tell_of_futures
from dask_knot.run.failure import fail
from dask_knot.run.manifest import NOWHERE
from dask_knot.session.failures import ErredKey
from dask_knot.session.hooks import Outcome
from dask_knot.tracking import actions, events

RUN = "climate"
VALUE = {"stored": 42}


class RecallingScheduler(Scheduler):  # type: ignore[misc]
    """Dask's scheduler, with a run in the place of a tracker, and nothing else of ours."""

    def __init__(self, world: World) -> None:
        super().__init__(dashboard_address=":0", port=0, host="127.0.0.1", validate=True)
        outcomes = Outcomes(self)
        arrivals: Any = None
        later = self.loop.add_callback
        self.recall = Recall(self, world, RUN, later, outcomes.tell)
        self.news = News(world.handle, outcomes, later, self.recall)
        self.outcomes = outcomes
        self.add_plugin(Releases(self.news, arrivals), name="releases")
        world.scheduler = self

    @property
    def gateway_address(self) -> str:
        """The address of the one worker."""
        return str(self.aliases[GATEWAY])

    def client_desires_keys(self, keys: Any, client: str) -> None:
        """Hold keys for somebody."""
        self.recall.desire(super().client_desires_keys, keys, client)

    def send_all(self, client_msgs: dict[str, Any], worker_msgs: dict[str, Any]) -> None:
        """Send messages but for those that would start a task."""
        super().send_all(client_msgs, self.news.without_questions(worker_msgs))

    async def gather(self, keys: Any, serializers: Any = None) -> dict[str, Any]:
        """Give values, all of them the same."""
        return {"status": "OK", "data": dict.fromkeys(keys, VALUE)}


class World:
    """A run that has some keys, and answers when it is told to."""

    scheduler: RecallingScheduler

    def __init__(self, *has: Key) -> None:
        self.has = set(has)
        self.asked: list[dict[Key, int]] = []
        self.told: list[events.Event] = []
        self.error: Exception | None = None
        self.is_read = asyncio.Event()
        self.is_read.set()

    async def recall(self, asked: Mapping[Key, int]) -> set[Key]:
        """Name the keys that the run has."""
        self.asked.append(dict(asked))
        await self.is_read.wait()
        if self.error is not None:
            raise self.error
        return self.has.intersection(asked)

    def handle(self, happened: Sequence[events.Event]) -> None:
        """Take in what happened."""
        self.told += happened

    def answer(self, *keys: Key) -> None:
        """Finish keys with the run ids that they were asked for with last."""
        last: dict[Key, int] = {}
        for asked in self.asked:
            last.update(asked)
        facts = actions.Facts(100, pickle.dumps(dict), "dict", 1.0, 2.0)
        told: list[Outcome] = [actions.FinishKey(k, last[k], NOWHERE, facts) for k in keys]
        self.scheduler.outcomes.tell(told)

    async def asks(self, times: int) -> None:
        """Wait until the run was asked so often."""
        while len(self.asked) < times:
            await asyncio.sleep(0.001)


async def until(condition: Callable[[], object]) -> None:
    """Let the event loop go on until something holds."""
    while not condition():
        await asyncio.sleep(0.001)


Story = Callable[[World, Client], Coroutine[Any, Any, None]]


def play(story: Story, *has: Key) -> None:
    """Let a client meet a run that has some keys."""

    async def live() -> None:
        world = World(*has)
        with dask.config.set(SCHEDULING):
            scheduler = RecallingScheduler(world)
        async with (
            scheduler,
            Worker(scheduler.address, name=GATEWAY, nthreads=1, validate=True, dashboard=False),
            Client(scheduler.address, asynchronous=True) as client,
        ):
            await asyncio.wait_for(story(world, client), 20)

    asyncio.run(live())


def test_a_key_of_the_run_has_its_value() -> None:
    async def story(world: World, client: Client) -> None:
        future = future_of("old-1", client)
        await world.asks(1)
        assert not future.done()  # a job of an earlier client may still make it
        world.answer("old-1")
        assert await future.result() == VALUE
        assert (future.status, future.type) == ("finished", dict)
        assert world.scheduler.tasks["old-1"].nbytes == 100

    play(story, "old-1")


def test_many_keys_are_asked_for_at_once_and_by_several_clients_once() -> None:
    async def story(world: World, client: Client) -> None:
        keys: list[Key] = [("old", n) for n in range(100)]
        futures = [future_of(key, client) for key in keys]
        await until(lambda: len({key for asked in world.asked for key in asked}) == 100)
        times = len(world.asked)
        assert times < 20
        async with Client(world.scheduler.address, asynchronous=True) as other:
            again = future_of(keys[3], other)
            await until(lambda: len(world.scheduler.tasks[keys[3]].who_wants) == 2)
            world.answer(*keys)
            assert await other.gather([again]) == [VALUE]
        assert await client.gather(futures) == [VALUE] * 100
        assert len(world.asked) == times

    play(story, *[("old", n) for n in range(100)])


def test_a_key_that_the_run_does_not_know_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    async def story(world: World, client: Client) -> None:
        future, known = future_of("nowhere", client), future_of("old", client)
        with pytest.raises(FutureCancelledError, match="run climate has no key 'nowhere'"):
            await future.result()
        assert "nowhere" not in world.scheduler.tasks
        world.answer("old")
        assert await known.result() == VALUE

    play(story, "old")
    assert "the run climate has no key 'nowhere'" in caplog.text


def test_a_run_that_cannot_be_asked_errs_keys() -> None:
    async def story(world: World, client: Client) -> None:
        world.error = MissingObjectError("the log is gone")
        with pytest.raises(MissingObjectError, match="the log is gone"):
            await future_of("old", client).result()
        world.error = ValueError("what?")
        with pytest.raises(Exception, match=r"the run: ValueError"):
            await future_of("other", client).result()

    play(story, "old")


def test_a_failure_of_the_run_errs_the_future() -> None:
    async def story(world: World, client: Client) -> None:
        future = future_of("old", client)
        await world.asks(1)
        failure = fail(ZeroDivisionError("by nothing"), "old")
        world.scheduler.outcomes.tell([ErredKey("old", world.asked[0]["old"], failure)])
        with pytest.raises(ZeroDivisionError, match="by nothing"):
            await future.result()
        assert future.status == "error"

    play(story, "old")


def test_it_can_be_released_and_asked_for_again() -> None:
    async def story(world: World, client: Client) -> None:
        future = future_of("old", client)
        await world.asks(1)
        future.release()
        await until(lambda: "old" not in world.scheduler.tasks)
        again = future_of("old", client)
        await world.asks(2)
        first, second = (asked["old"] for asked in world.asked)
        assert first != second
        world.answer("old")
        assert await again.result() == VALUE
        released = [event for event in world.told if isinstance(event, events.KeyReleased)]
        assert released
        assert all(event.key == "old" for event in released)

    play(story, "old")


def test_it_is_released_while_the_run_is_read() -> None:
    async def story(world: World, client: Client) -> None:
        world.is_read.clear()
        future = future_of("nowhere", client)
        await world.asks(1)
        future.release()
        await until(lambda: "nowhere" not in world.scheduler.tasks)
        again = future_of("nowhere", client)
        await world.asks(2)
        world.is_read.set()
        with pytest.raises(FutureCancelledError):
            await again.result()

    play(story)


def test_a_value_that_is_lost_is_asked_for_again() -> None:
    async def story(world: World, client: Client) -> None:
        future = future_of("old", client)
        await world.asks(1)
        world.answer("old")
        await future
        world.scheduler.transitions({"old": "released"}, "test-lost")
        await world.asks(2)
        await until(lambda: future.status != "finished")
        world.answer("old")
        assert await future.result() == VALUE

    play(story, "old")


def test_a_variable_keeps_it_for_others() -> None:
    async def story(world: World, client: Client) -> None:
        future = future_of("old", client)
        await world.asks(1)
        world.answer("old")
        variable = Variable("x", client=client)
        await variable.set(future)
        future.release()
        kept = await variable.get()
        assert await kept.result() == VALUE

    play(story, "old")


def test_a_graph_that_brings_the_key_takes_it_over() -> None:
    async def story(world: World, client: Client) -> None:
        future, other = future_of("old", client), future_of("other", client)
        await until(lambda: len({key for asked in world.asked for key in asked}) == 2)
        scheduler = world.scheduler
        await scheduler.recall.settle(["old", "other"])
        world.answer("old")
        await future
        assert scheduler.recall.hand_over(["old", "never heard of"]) == set()
        brought = client.get({"old": Task("old", sum, TaskRef("other"))}, "old", sync=False)
        await until(lambda: scheduler.tasks["old"].dependencies)
        world.answer("other")
        assert await brought == VALUE
        assert await client.gather([future, other]) == [VALUE, VALUE]
        scheduler.transitions({"old": "released"}, "test-lost")
        await until(lambda: events.KeyAsked in map(type, world.told))  # of the graph now

    play(story, "old", "other")


def test_a_graph_that_brings_a_key_on_its_way_waits_for_no_inputs() -> None:
    async def story(world: World, client: Client) -> None:
        future = future_of("old", client)
        await world.asks(1)
        await world.scheduler.recall.settle(["old"])
        assert world.scheduler.recall.hand_over(["old"]) == {"old"}
        brought = client.get({"old": stand_in("old")}, "old", sync=False)
        await until(lambda: not future.done())
        world.answer("old")
        assert await brought == await future.result() == VALUE

    play(story, "old")


def test_futures_that_are_made_of_a_key_are_recalled_and_graphs_are_not() -> None:
    async def story(world: World, client: Client) -> None:
        tell_of_futures(client)
        many = client.map(str, range(1000), key="many")
        old, again, never = (Future(key, client) for key in ("old", "old", "never"))
        await until(lambda: sum(map(len, world.asked)) == 2)
        world.answer("old")
        assert await client.gather([old, again]) == [VALUE, VALUE]
        with pytest.raises(FutureCancelledError, match="the run climate has no key 'never'"):
            await never
        asked = [event.key for event in world.told if isinstance(event, events.KeyAsked)]
        assert len(asked) == len({future.key for future in many}) == 1000
        assert {key for some in world.asked for key in some} == {"old", "never"}
        assert not any(future.done() for future in many)

    play(story, "old")


def test_waiting_ends_with_the_scheduler() -> None:
    async def story(world: World, client: Client) -> None:
        world.is_read.clear()
        future = future_of("old", client)
        await world.asks(1)
        settled = asyncio.ensure_future(world.scheduler.recall.settle(["old"]))
        await asyncio.sleep(0)
        assert not settled.done()
        world.scheduler.news.close()
        await settled
        assert not future.done()

    play(story, "old")


def test_a_run_without_a_name_has_no_earlier_sessions() -> None:
    asked: list[object] = []
    world: Any = World("old")
    scheduler: Any = None
    recall = Recall(scheduler, world, None, lambda call: None, list)
    recall.desire(lambda keys, client: asked.append((keys, client)), ["old"], "client")
    assert asked == [(["old"], "client")]
    assert not recall.takes("old", 1)
