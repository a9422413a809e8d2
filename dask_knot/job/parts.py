"""Goes on beside the tasks of a shard: commits what is done, and asks whether anybody needs it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from dask_knot.errors import StoreError
from dask_knot.internals import GraphNode
from dask_knot.job.console import say
from dask_knot.job.outputs import Outputs
from dask_knot.job.tasks import TaskOutcome
from dask_knot.run.failure import Failure
from dask_knot.run.names import ShardId
from dask_knot.run.run import Run

#: So many seconds lie at most between two questions whether anybody needs the shard.
LONGEST = 300.0
#: While a task runs, parts are not written more often than this, in seconds.
SHORTEST_INTERVAL = 0.1


class Parts:
    """Takes what tasks give; what is done must not wait for a task that takes long, or for ever.

    What goes wrong with a commit beside a running task is raised when that task has ended.

    Parameters
    ----------
    outputs : Outputs
        Where outcomes are collected.
    seconds : float
        After so many seconds what is done is committed.
    is_unneeded : callable
        Tells whether the process may end at once, as nobody needs what it makes.
    """

    def __init__(
        self, outputs: Outputs, seconds: float, is_unneeded: Callable[[], bool] = lambda: False
    ) -> None:
        self._outputs = outputs
        self._seconds = seconds
        self._is_unneeded = is_unneeded
        self._last = time.monotonic()
        self._lock = threading.Lock()  # held by whoever adds or commits
        self._is_over = threading.Event()
        self._is_refused = False
        self._error: BaseException | None = None
        self._beside = threading.Thread(target=self._commit_beside, name="dask-knot-parts")
        self._beside.daemon = True

    def __enter__(self) -> Parts:
        self._beside.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._is_over.set()
        self._beside.join()
        if kind is None and self._error is not None:
            raise self._error

    def __call__(self, node: GraphNode, ended: TaskOutcome) -> None:
        """Take the outcome of a task.

        Raises
        ------
        SupersededError
            If another attempt was faster.
        StoreError
            If a part can't be written.
        """
        if self._is_refused:
            threading.Event().wait()
        with self._lock:
            if self._error is not None:
                raise self._error
            self._add(node, ended)
            if self._outputs.is_full or time.monotonic() - self._last > self._seconds:
                self._commit()

    def refuse(self) -> None:
        """Take nothing more, as the process ends any moment: whoever has something waits for that.

        It may be a failure that has no other cause than that end.
        """
        self._is_refused = True

    def save(self) -> None:
        """Commit what is done, from any thread; nothing where a commit has failed before."""
        with self._lock:
            if self._error is None:
                self._commit()

    def finish(self) -> None:
        """Commit all that is left, with the last manifest."""
        with self._lock:
            self._commit(final=True)

    def _add(self, node: GraphNode, ended: TaskOutcome) -> None:
        outputs, key = self._outputs, node.key
        has_failed = erred = isinstance(ended.value, Failure)
        nbytes = None
        if key in outputs:
            nbytes = outputs.add(key, ended.value, ended.start, ended.stop)
            erred = nbytes is None
        if not has_failed or ended.stop > ended.start:
            outputs.note(key, ended.start, ended.stop, nbytes, erred)

    def _commit(self, final: bool = False) -> None:
        try:
            self._outputs.commit(final)
        except BaseException as error:  # what is half written must not be written once more
            self._error = error
            raise
        self._last = time.monotonic()

    def _commit_beside(self) -> None:
        interval = max(self._seconds, SHORTEST_INTERVAL)
        while not self._is_over.wait(interval):
            if self._is_unneeded():
                self._end_process()
            with self._lock:
                if time.monotonic() - self._last < interval:
                    continue  # a task has ended and committed meanwhile
                try:
                    self._commit()
                except BaseException:  # the main thread raises it
                    return

    def _end_process(self) -> NoReturn:
        with self._lock:  # not in the midst of a commit
            say("nobody needs this shard any more")
            os._exit(0)  # a child that failed would fail its array


class Interest:
    """Finds out whether anybody needs a shard: Batch can't end a child without failing its array.

    Looks into the store ever more seldom: a child runs for twice as long as it should, at
    most.

    Parameters
    ----------
    run : Run
        Where the client says what is unneeded; without patience.
    shard : ShardId
        The shard.
    first : float
        Seconds until the first look.
    """

    def __init__(self, run: Run, shard: ShardId, first: float) -> None:
        self._run = run
        self._shard = shard
        self._pause = first
        self._next = time.monotonic() + first

    def is_gone(self) -> bool:
        """Tell whether it is known that nobody does; most calls only look at the clock."""
        if time.monotonic() < self._next:
            return False
        self._pause = min(2 * self._pause, LONGEST)
        self._next = time.monotonic() + self._pause
        try:
            return self._shard.index in self._run.read_orders(self._shard.stage).unneeded
        except StoreError:  # nothing is unneeded, or nobody knows at the moment
            return False
