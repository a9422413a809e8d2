"""Runs the tasks of a shard: one after another, or several at once when the job has cores."""

from __future__ import annotations

import asyncio
import heapq
import inspect
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from typing import Any, NamedTuple, Protocol

from dask.typing import Key
from distributed.protocol import pickle

from dask_knot.errors import KnotError
from dask_knot.internals import GraphNode, begin_task, end_task
from dask_knot.job import present
from dask_knot.job.console import Printout
from dask_knot.job.inputs import Inputs
from dask_knot.run import scripts
from dask_knot.run.failure import Failure, describe, fail
from dask_knot.task.context import fault, keep_nested_work_here, unpickling
from dask_knot.task.copies import OwnCopy, drop_copies, open_copies
from dask_knot.task.refusals import translated
from dask_knot.task.retries import is_retried
from dask_knot.task.subgraphs import call

ValuesByKey = dict[Key, Any]


class TaskOutcome(NamedTuple):
    """A task that ran: its value or the Failure in its place, and when (seconds of the epoch).

    `startup` are the seconds that it took longer when it ran for the first time, if it ran twice.
    """

    value: Any
    start: float
    stop: float
    startup: float = 0.0


def run_task(node: GraphNode, values: ValuesByKey, printed: Printout | None = None) -> TaskOutcome:
    """Run one task; whatever it raises becomes a Failure."""
    if printed is not None:
        printed.clear()
    start = time.time()
    begin_task(node.key, start)  # for whoever asks Dask
    keep_nested_work_here()
    open_copies()
    try:
        value = call(node, values)
        if inspect.iscoroutine(value):
            value = asyncio.run(_awaited(value))
    except Exception as error:
        value = describe(translated(error), node.key, printed.tail() if printed else "")
    except BaseException as error:  # SystemExit and the like
        value = describe(error, node.key)
    finally:
        drop_copies()
        end_task()
    return TaskOutcome(value, start, time.time())


def run_pickled(data: bytes) -> bytes:
    """Run one task in another process: pickled node and values in, pickled outcome out."""
    with unpickling():
        node, values = pickle.loads(data)
    broken = fault()
    with present.written_down(node.key):
        ended = run_task(node, values) if broken is None else _not_run(fail(broken, node.key))
    try:
        return bytes(scripts.dumps(ended))
    except (Exception, SystemExit) as error:  # pickling runs user code: anything may come out
        return bytes(scripts.dumps(ended._replace(value=describe(error, node.key))))


class Shelf:
    """The values in memory: each is given back as soon as no task of the shard reads it.

    Parameters
    ----------
    tasks : sequence of GraphNode
        The shard's tasks.
    literals : sequence of GraphNode
        Constants that they read.
    inputs : Inputs
        Values from elsewhere.
    """

    def __init__(
        self, tasks: Sequence[GraphNode], literals: Sequence[GraphNode], inputs: Inputs
    ) -> None:
        self._inputs = inputs
        self._values: ValuesByKey = {}
        self._constants: dict[Key, GraphNode] = {node.key: node for node in literals}
        self._readers: dict[Key, int] = {}
        for node in tasks:
            for key in node.dependencies:
                self._readers[key] = self._readers.get(key, 0) + 1

    def values_for(self, node: GraphNode) -> ValuesByKey | Failure:
        """Collect what a task reads, or the Failure of one of them."""
        found = {}
        has_retries = is_retried(node)
        for key in node.dependencies:
            value = self._value(key)
            if issubclass(type(value), OwnCopy) and not has_retries:
                value = _made(value)
            if type(value) is Failure:
                return value
            found[key] = value
        return found

    def put(self, key: Key, value: object) -> None:
        """Keep a value if a task of the shard reads it."""
        if key in self._readers:
            self._values[key] = value

    def look(self, key: Key) -> Any:
        """Give the value of a task that has ended, and that another one will read."""
        return self._values[key]

    def let_go(self, node: GraphNode) -> None:
        """Note that a task has read its inputs."""
        for key in node.dependencies:
            left = self._readers[key] = self._readers[key] - 1
            if not left:
                self._values.pop(key, None)
                self._constants.pop(key, None)

    def _value(self, key: Key) -> Any:
        if key in self._values:
            return self._values[key]
        if key in self._constants:
            node = self._constants[key]
            return node if isinstance(node, OwnCopy) else node({})
        value = self._values[key] = self._inputs.take(key)
        return value


def _made(constant: OwnCopy) -> Any:
    try:
        return constant.make()
    except KnotError as error:
        return describe(error, constant.key)


class Sink(Protocol):
    """Says which tasks may begin, and takes their outcomes."""

    def begin(self, key: Key) -> bool:
        """Begin a task, unless it has begun or is given up."""

    def __call__(self, node: GraphNode, ended: TaskOutcome) -> None:
        """Take the outcome of a task."""


def run_in_order(
    tasks: Iterable[GraphNode],
    shelf: Shelf,
    sink: Sink,
    printed: Printout | None,
    run: Callable[[GraphNode, ValuesByKey, Printout | None], TaskOutcome] = run_task,
) -> None:
    """Run tasks one after another, in the order in which they stand; none that is given up."""
    present.register()
    for node in tasks:
        if not sink.begin(node.key):
            continue
        values = shelf.values_for(node)
        ended = _not_run(values) if isinstance(values, Failure) else run(node, values, printed)
        shelf.put(node.key, ended.value)
        shelf.let_go(node)
        sink(node, ended)
        del values, ended  # or they would stay alive while the next task runs


def run_at_once(tasks: Sequence[GraphNode], shelf: Shelf, sink: Sink, pool: Pool) -> None:
    """Run tasks on a pool, each as soon as what it reads is there; earlier ones first."""
    places = {node.key: number for number, node in enumerate(tasks)}
    waiting = {n.key: sum(key in places for key in n.dependencies) for n in tasks}
    readers: dict[Key, list[Key]] = {}
    for node in tasks:
        for key in node.dependencies:
            readers.setdefault(key, []).append(node.key)
    ready = [places[key] for key, count in waiting.items() if not count]
    running: dict[Future[Any], GraphNode] = {}

    def finish(node: GraphNode, ended: TaskOutcome) -> None:
        shelf.put(node.key, ended.value)
        shelf.let_go(node)
        sink(node, ended)
        for reader in readers.get(node.key, ()):
            waiting[reader] -= 1
            if not waiting[reader]:
                heapq.heappush(ready, places[reader])

    # Functions of their own, so that no variable keeps a value alive while other tasks run.
    def start(node: GraphNode) -> None:
        if not sink.begin(node.key):
            return
        values = shelf.values_for(node)
        if isinstance(values, Failure):
            finish(node, _not_run(values))
        else:
            running[pool.submit(node, values)] = node

    def start_some() -> None:
        while ready and len(running) < pool.size:
            start(tasks[heapq.heappop(ready)])

    def collect() -> None:
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            node = running.pop(future)
            # Before the value is written: what reads it, and may change it, begins after that.
            start_some()
            finish(node, pool.result(node, future))

    while ready or running:
        start_some()
        if running:
            collect()


class Pool:
    """Threads or processes that run single tasks."""

    def __init__(self, executor: Executor, size: int, processes: bool) -> None:
        self.executor, self.size, self.processes = executor, size, processes

    def submit(self, node: GraphNode, values: ValuesByKey) -> Future[Any]:
        """Start a task."""
        if self.processes:
            return self.executor.submit(run_pickled, bytes(scripts.dumps((node, values))))
        return self.executor.submit(run_task, node, values)

    def result(self, node: GraphNode, future: Future[Any]) -> TaskOutcome:
        """Read how a task ended."""
        if not self.processes:
            ended: TaskOutcome = future.result()
            return ended
        try:
            with unpickling():
                ended = pickle.loads(future.result())
        except BrokenExecutor:  # a process has died: so must the job, for the search for the task
            raise
        except (Exception, SystemExit) as error:  # unpickling runs user code, there and here
            return _not_run(describe(error, node.key))
        return ended


def _not_run(failure: Failure) -> TaskOutcome:
    """Say of a task that what it reads has failed: it took no time at all."""
    now = time.time()
    return TaskOutcome(failure, now, now)


async def _awaited(coroutine: Any) -> Any:
    return await coroutine
