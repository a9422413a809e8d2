"""What Dask's own functions do when a task calls them: it works, or says at once why it can't."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import dask
import dask.array as da
import dask.bag as db
import distributed
import pytest
from distributed import (
    Client,
    Event,
    Lock,
    MultiLock,
    Queue,
    Semaphore,
    Variable,
    as_completed,
    default_client,
    get_client,
    get_worker,
    rejoin,
    secede,
    wait,
    worker_client,
)

from dask_knot import KnotCluster
from dask_knot.errors import LiveWorkerError, UnsupportedGraphError
from tests.end_to_end.tasks import inc


def run(client: Client, function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a function in a job of its own."""
    return client.submit(function, *arguments, pure=False).result(timeout=60)


def refused(client: Client, feature: str, function: Callable[..., Any], *arguments: Any) -> None:
    """Check that a task gets the clear error, and that only this task does."""
    futures = [client.submit(function, *arguments, pure=False), client.submit(inc, 1, pure=False)]
    with pytest.raises(LiveWorkerError) as caught:
        futures[0].result(timeout=60)
    text = str(caught.value)
    assert text.startswith(f"{feature} needs a live Dask worker, and a job isn't one")
    assert text.count(". ") >= 1  # what to do instead
    assert any("test_inside_a_task" in str(entry.path) for entry in caught.traceback)
    assert futures[1].result(timeout=60) == 2


def test_get_worker(client: Client) -> None:
    def look() -> tuple[str, Any, bool, bool]:
        worker = get_worker()
        return worker.name, worker.get_current_task(), hasattr(worker, "nthreads"), worker.plugins

    future = client.submit(look, key="look-at-the-worker")
    name, key, has_threads, plugins = future.result(timeout=60)
    assert re.fullmatch(r"shard \d+ of stage \d+\.\d+", name)
    assert (key, has_threads, plugins) == ("look-at-the-worker", False, {})


def test_the_folder_of_the_worker(client: Client) -> None:
    def write() -> str:
        path = f"{get_worker().local_directory}/file"
        with open(path, "w") as file:
            file.write("something")
        return path

    assert "dask-knot-job-" in run(client, write)


@pytest.mark.parametrize("name", ["address", "scheduler", "state", "nthreads", "loop"])
def test_what_a_job_has_not(client: Client, name: str) -> None:
    def look() -> Any:
        found = getattr(get_worker(), name)
        return found.identity if name in ("loop", "scheduler") else found

    refused(client, f"get_worker().{name}", look)


def test_get_client(client: Client) -> None:
    refused(client, "get_client", get_client_and_submit)


def get_client_and_submit() -> int:
    return int(get_client().submit(inc, 1).result())


def test_worker_client(client: Client) -> None:
    def use() -> int:
        with worker_client() as inner:
            return int(inner.submit(inc, 1).result())

    refused(client, "worker_client", use)


@pytest.mark.parametrize("function", [default_client, as_completed, wait])
def test_functions_that_look_for_a_client(client: Client, function: Any) -> None:
    arguments = () if function is default_client else ([],)
    refused(client, function.__name__, lambda: function(*arguments))


def test_secede_and_rejoin(client: Client) -> None:
    def leave(x: int) -> int:
        secede()
        time.sleep(0.01)
        rejoin()
        secede()
        return x + 1

    assert client.gather(client.map(leave, range(5))) == [1, 2, 3, 4, 5]


def use_lock(lock: Any) -> NoReturn:
    with lock() if callable(lock) else lock:
        raise AssertionError("nobody holds it for others")


def use_event(event: Any) -> Any:
    return (event() if callable(event) else event).wait(timeout=1)


def use_queue(queue: Any) -> Any:
    return (queue() if callable(queue) else queue).get(timeout=1)


use_variable = use_queue

SHARED: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "Lock": (partial(Lock, "x"), use_lock),
    "MultiLock": (partial(MultiLock, ["x", "y"]), use_lock),
    "Semaphore": (partial(Semaphore, 2, "x"), use_lock),
    "Event": (partial(Event, "x"), use_event),
    "Queue": (partial(Queue, "x"), use_queue),
    "Variable": (partial(Variable, "x"), use_variable),
}


@pytest.mark.parametrize("feature", SHARED)
def test_made_in_a_task(client: Client, feature: str) -> None:
    make, use = SHARED[feature]
    refused(client, feature, use, make)


@pytest.mark.parametrize("feature", SHARED)
def test_made_in_the_client_and_passed_into_a_task(client: Client, feature: str) -> None:
    make, use = SHARED[feature]
    refused(client, feature, use, make())


def test_passed_on_without_use(client: Client) -> None:
    """One that a task only carries does no harm, until the next one uses it."""
    box = client.submit(lambda lock: [lock], Lock("carried"))
    with pytest.raises(LiveWorkerError, match="Lock"):
        client.submit(lambda box: box[0].acquire(), box).result(timeout=60)


@dataclass
class Box:
    """An object of the user's own, into which Dask doesn't look."""

    content: Any


@pytest.mark.parametrize("method", ["result", "exception", "done", "cancel"])
def test_a_future_in_an_object(client: Client, method: str) -> None:
    box = Box(client.submit(inc, 1))
    refused(client, "Future", lambda box: getattr(box.content, method)(), box)


def total(nested: Any) -> int:
    (found,) = dask.compute(nested["a"][0].content.sum())
    return int(found)


@pytest.mark.parametrize("make", [lambda: da.arange(9, chunks=4), lambda: db.range(9, 2)])
def test_a_persisted_collection_in_an_object(client: Client, make: Callable[[], Any]) -> None:
    """Its values are there, and it is computed in the task's own job."""
    persisted = make().persist()
    assert run(client, total, {"a": [Box(persisted)]}) == 36
    assert client.submit(lambda x: x.sum().compute(), make().persist()).result(timeout=60) == 36
    assert client.gather(client.map(lambda n, x: n + total(x), [1], x={"a": [Box(persisted)]})) == [
        37
    ]


def test_a_persisted_collection_that_was_scattered(client: Client) -> None:
    persisted = da.arange(6, chunks=3).persist()
    scattered = client.scatter(persisted)
    assert client.submit(lambda x: x, scattered).result(timeout=60).sum().compute() == 15
    future = client.submit(lambda x: x.sum().compute(), scattered)
    with pytest.raises(LiveWorkerError, match="instead of scattering it"):
        future.result(timeout=60)


def test_futures_in_lists_and_dicts(client: Client) -> None:
    one, two = client.map(inc, [0, 1])
    assert run(client, lambda nested: nested, {"a": [one, (two,)]}) == {"a": [1, (2,)]}


@pytest.mark.parametrize("is_argument", [True, False])
def test_a_client_can_be_no_part_of_a_task(client: Client, is_argument: bool) -> None:
    logger = logging.getLogger("distributed.protocol.pickle")
    before, logger.disabled = logger.disabled, True
    try:
        with pytest.raises(TypeError, match="Could not serialize"):
            client.submit(id, client) if is_argument else client.submit(lambda: client.id)
    finally:
        logger.disabled = before


def test_actors(client: Client) -> None:
    with pytest.raises(
        UnsupportedGraphError,
        match=r"actors need a worker that stays.*keep the state in the values",
    ):
        client.submit(Box, 1, actor=True).result(timeout=30)
    for future in client.map(Box, range(2), actor=True):
        with pytest.raises(UnsupportedGraphError, match="actors need a worker that stays"):
            future.result(timeout=30)


def test_coroutines(client: Client) -> None:
    async def later(x: int) -> tuple[int, Any]:
        await asyncio.sleep(0)
        return x + 1, get_worker().get_current_task()

    future = client.submit(later, 1)
    assert future.result(timeout=60) == (2, future.key)
    refused(client, "Lock", acquire_later)


async def acquire_later() -> None:
    await Lock("x")


def test_compute_runs_in_the_job(client: Client) -> None:
    def compute() -> tuple[Any, ...]:
        import dask.array as da
        import dask.bag as db

        array = da.ones((20, 20), chunks=10).sum()
        return (
            float(array.compute()),
            db.from_sequence(range(4), npartitions=2).sum().compute(),
            dask.compute(dask.delayed(inc)(1), scheduler="synchronous")[0],
            dask.config.get("num_workers"),
        )

    assert run(client, compute) == (400, 6, 2, 1)


def test_print_and_warn_go_to_the_log(client: Client, cluster: KnotCluster) -> None:
    def shout() -> int:
        distributed.print("printed", "by", "dask")
        distributed.warn("a warning by dask")
        return 1

    future = client.submit(shout)
    assert future.result(timeout=60) == 1
    (log,) = cluster.logs(future).values()
    assert "printed by dask" in log
    assert "a warning by dask" in log


def test_log_event(client: Client) -> None:
    refused(client, "get_worker().log_event", lambda: get_worker().log_event("topic", 1))


def test_thread_state(client: Client) -> None:
    def look() -> tuple[Any, float]:
        from distributed.worker import thread_state

        return thread_state.key, time.time() - thread_state.start_time

    future = client.submit(look)
    key, seconds = future.result(timeout=60)
    assert key == future.key
    assert 0 <= seconds < 60


def test_a_client_of_the_tasks_own(client: Client, cluster: KnotCluster) -> None:
    """A task may open a client itself, of a cluster that it can reach."""

    def use(address: str) -> int:
        with Client(address) as own:
            one = own.submit(inc, 1)
            two = get_client().submit(inc, 2)
            return int(one.result()) + sum(own.gather([two]))

    def ask(address: str) -> int:
        with get_client(address) as own:
            return int(own.submit(inc, 1).result())

    assert run(client, use, cluster.scheduler_address) == 5
    assert run(client, ask, cluster.scheduler_address) == 2


def test_several_tasks_at_once(open_cluster: Callable[..., KnotCluster]) -> None:
    def look(x: int) -> tuple[Any, Any]:
        secede()
        rejoin()
        return get_worker().get_current_task(), dask.delayed(inc)(x).compute()

    def use(make: Any, function: Callable[[Any], Any]) -> None:
        function(make)

    with Client(open_cluster(jobs=1, cores=2)) as client:
        makers, users = zip(*SHARED.values(), strict=True)
        made = [make() for make in makers]
        bad = client.map(use, [*made, *makers], [*users, *users])
        futures = client.map(look, range(4))
        assert client.gather(futures) == [(f.key, x + 1) for x, f in enumerate(futures)]
        for future, feature in zip(bad, [*SHARED, *SHARED], strict=True):
            with pytest.raises(LiveWorkerError, match=f"^{feature} needs"):
                future.result(timeout=60)
