"""Clients that do many things in one step: what they say, in which order, and when they give up."""

from __future__ import annotations

import asyncio
import gc
import operator
import pickle
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, Event, Scheduler, wait

from dask_knot.internals import clients
from dask_knot.internals.reports import hear_together


class Local:
    """What is of this module only."""


@pytest.fixture
def together(threads_client: Client) -> Iterator[Client]:
    """Give a client that does many things in one step."""
    with Client(threads_client.cluster, set_as_default=False) as client:
        hear_together(client)
        clients.release_together(client)
        clients.let_go_together(client.loop)
        clients.gather_together(client)
        yield client


def messages_of(client: Client) -> list[Any]:
    """List from now on what a client sends: the keys that it lets go, and other operations."""
    sent: list[Any] = []
    send = client._send_to_scheduler_safe

    def listen(message: dict[str, Any]) -> None:
        if message["op"] == "client-releases-keys":
            sent.append(sorted(message["keys"]))
        elif message["op"] != "heartbeat-client":
            sent.append(message["op"])
        send(message)

    client._send_to_scheduler_safe = listen
    return sent


def wants(client: Client) -> set[Any]:
    """Name the keys that the scheduler holds for a client."""
    scheduler: Scheduler = client.cluster.scheduler
    return {task.key for task in scheduler.clients[client.id].wants_what}


def test_types_of_values_are_heard_and_the_collector_goes_on(together: Client) -> None:
    made = [int, float, str, Local]
    futures = [together.submit(kind, pure=False) for kind in made for _ in range(3)]
    together.gather(futures)
    assert [future.type for future in futures] == [kind for kind in made for _ in range(3)]
    assert gc.isenabled()


def test_a_type_that_cannot_be_read_here_is_none(together: Client) -> None:
    future = together.submit(operator.neg, 1)
    assert future.result() == -1

    async def hear(key: str, pickled: bytes) -> Any:
        together.futures[key].type = None
        together._stream_handlers["key-in-memory"](key=key, type=pickled)
        return together.futures[key].type

    for pickled in (b"nonsense", b"cno_such_module\nKind\n."):
        assert together.sync(hear, future.key, pickled) is None
    assert together.sync(hear, future.key, pickle.dumps(int)) is int


def test_keys_are_released_in_one_message(together: Client) -> None:
    futures = together.map(operator.neg, range(200), pure=False)
    keys = sorted(future.key for future in futures)
    assert together.gather(futures) == [-number for number in range(200)]
    sent = messages_of(together)

    async def let_go() -> None:
        for future in futures:
            future.release()
        while wants(together):
            await asyncio.sleep(0.001)

    together.sync(let_go)
    assert sent == [keys]


def test_what_is_sent_behind_a_key_stays_behind_it(together: Client) -> None:
    """Else a key that was let go and is wanted again would be held for ever, or by nobody."""
    sent, said = messages_of(together), list[Any]()

    async def live() -> None:
        first, other = (together.submit(operator.neg, 1, key=key) for key in "ab")
        for future in (first, other):
            future._cleared = True  # what its end says is said here
        together._dec_ref("a")
        again = together.submit(operator.neg, 1, key="a")
        together._dec_ref("b")
        assert await again == -1
        while wants(together) != {"a"}:
            await asyncio.sleep(0.001)
        said.extend(sent)

    together.sync(live)
    assert said == ["update-graph", "update-graph", ["a"], "update-graph", ["b"]]


def test_a_closed_client_lets_go_of_futures_in_silence(together: Client) -> None:
    futures = together.map(operator.neg, range(3), pure=False)
    sent = messages_of(together)
    together.close()
    said = [*sent]
    for future in futures:
        future.release()
    assert sent == said


class Loop:
    """Notes what it is to call."""

    def __init__(self) -> None:
        self.called: list[Any] = []

    def add_callback(self, callback: Any, *arguments: Any) -> None:
        """Note what is to be called."""
        self.called.append((callback, arguments))


def test_futures_that_go_at_a_time_wake_the_loop_once(together: Client) -> None:
    loop = Loop()
    clients.let_go_together(loop)
    clients.let_go_together(loop)  # by another client
    keys = [f"held-{number}" for number in range(100)]
    together.refcount.update(dict.fromkeys(keys, 1))
    for key in keys:
        loop.add_callback(together._dec_ref, key)
    ((count, arguments),) = loop.called
    count(*arguments)
    assert not together.refcount.keys() & set(keys)


def test_what_is_called_behind_a_future_that_goes_is_called_behind_it(together: Client) -> None:
    futures = together.map(operator.neg, range(200), pure=False)
    seen: list[int] = []

    async def let_go() -> None:
        for future in futures[:100]:
            future.release()
        together.loop.add_callback(lambda: seen.append(len(together.refcount)))
        for future in futures[100:]:
            future.release()
        while together.refcount:
            await asyncio.sleep(0.001)

    together.sync(let_go)
    assert seen == [100]


def test_many_futures_are_waited_for_in_one_step(together: Client) -> None:
    start = Event(client=together)
    waiting = together.submit(start.wait, pure=False)
    futures = together.map(lambda number, _: -number, range(100), [waiting] * 100, pure=False)
    most: list[int] = []

    async def gather() -> Any:
        gathering = asyncio.ensure_future(together._gather(futures + futures[:50]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        most.append(len(asyncio.all_tasks()))
        await start.set()
        return await gathering

    assert together.sync(gather) == [-number for number in (*range(100), *range(50))]
    assert most[0] < 80
    for shape in (tuple(futures), {"a": futures[0], "b": [futures[1]]}, futures[:3]):
        assert together.gather(shape) == Client.gather(together, shape)
    assert together.gather(futures) == together.gather(futures, errors="skip")
    assert together.gather(futures, direct=True) == together.gather(futures)


def test_a_future_that_fails_ends_the_waiting_at_once(together: Client) -> None:
    blocked = Event(client=together)
    gate = together.submit(blocked.wait, pure=False)
    waiting = together.map(lambda _, is_open: is_open, range(100), [gate] * 100, pure=False)
    failing = together.submit(operator.truediv, 1, 0)
    with pytest.raises(ZeroDivisionError):
        together.gather([*waiting[:80], failing, *waiting[80:]])
    cancelled = together.submit(operator.neg, waiting[-1], key="cancelled")
    timer = threading.Timer(0.1, cancelled.cancel)
    timer.start()
    with pytest.raises(CancelledError):
        together.gather([*waiting, cancelled])
    timer.join()
    blocked.set()
    assert together.gather([*waiting, failing], errors="skip") == [True] * 100


@pytest.mark.parametrize("is_slow", [False, True], ids=["before", "meanwhile"])
@pytest.mark.parametrize("count", [0, 10 * clients.MANY], ids=["alone", "with many"])
def test_what_a_task_raised_comes_without_frames_of_ours(
    together: Client, count: int, is_slow: bool
) -> None:
    failing = together.submit(operator.truediv, 1, 0, pure=False)
    if not is_slow:
        wait(failing)
    others = together.map(operator.neg, range(count))
    with pytest.raises(ZeroDivisionError) as raised:
        together.gather([*others, failing])
    places = [Path(frame.filename) for frame in traceback.extract_tb(raised.tb)]
    assert Path(clients.__file__) not in places


def test_who_waits_no_longer_leaves_nothing_that_waits(together: Client) -> None:
    blocked = Event(client=together)
    gate = together.submit(blocked.wait, pure=False)
    waiting = together.map(lambda _, is_open: is_open, range(100), [gate] * 100, pure=False)

    async def give_up() -> tuple[set[Any], set[Any]]:
        before = asyncio.all_tasks()
        gathering = asyncio.ensure_future(together._gather(waiting))
        for _ in range(5):
            await asyncio.sleep(0)
        begun = asyncio.all_tasks() - before
        gathering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gathering
        for _ in range(5):
            await asyncio.sleep(0)
        return begun, begun & asyncio.all_tasks()

    begun, left = together.sync(give_up)
    assert len(begun) >= 2
    assert not left
    blocked.set()
    assert together.gather(waiting) == [True] * 100


def test_a_value_that_is_lost_meanwhile_is_waited_for_again(
    together: Client, caplog: pytest.LogCaptureFixture
) -> None:
    futures = together.map(operator.neg, range(100), pure=False)
    gather, lost = together.scheduler.gather, [futures[3].key]

    async def lose(keys: Any, **options: Any) -> Any:
        if lost:
            return {"status": "error", "keys": [lost.pop()]}
        return await gather(keys=keys, **options)

    together.scheduler.gather = lose
    assert together.gather(futures) == [-number for number in range(100)]
    assert not lost


def test_futures_of_another_client_are_refused(together: Client, threads_client: Client) -> None:
    futures = threads_client.map(operator.neg, range(100), pure=False)
    with pytest.raises(ValueError, match="another client"):
        together.gather(futures)
