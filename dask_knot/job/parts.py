"""Goes on beside the tasks of a shard: commits what is done, and asks what is wanted of it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum, auto
from typing import NamedTuple, NoReturn

from dask_knot.errors import StoreError
from dask_knot.internals import GraphNode
from dask_knot.job.console import say
from dask_knot.job.handover import HandOver
from dask_knot.job.outputs import Outputs
from dask_knot.job.tasks import TaskOutcome
from dask_knot.run.failure import Failure
from dask_knot.run.names import ShardId
from dask_knot.run.run import Run

#: So many intervals of parts lie at most between two questions what is wanted of a shard, usually
#: 20 seconds: slots may be idle until it hands over. A question is one GET, 0.4 millionths of a
#: dollar: those of a thousand children cost 0.07 dollars an hour, where their cores cost about 40.
LONGEST = 4
#: While a task runs, parts are not written more often than this, in seconds.
SHORTEST_INTERVAL = 0.1
#: A shard tells how far it is when its age has grown by such a part, if it may: a bar has no more
#: steps, and an hour has some 300 parts more than without.
GRAIN = 100


class Rhythm(NamedTuple):
    """The seconds between parts: few while a shard is young, so that people see it move.

    Attributes
    ----------
    longest : float
        What is done is committed so often in any case.
    news : float, optional
        A young shard tells so often how far it is; None: only with what it commits.
    """

    longest: float
    news: float | None = None

    def pause(self, age: float) -> float:
        """Give the seconds until the next part of a shard that runs for so many seconds."""
        if self.news is None:
            return self.longest
        return min(self.longest, max(self.news, age / GRAIN))


class Parts:
    """Takes what tasks give; what is done must not wait for a task that takes long, or for ever.

    What goes wrong with a commit beside a running task is raised when that task has ended.

    Parameters
    ----------
    outputs : Outputs
        Where outcomes are collected.
    rhythm : Rhythm
        How often what is done is committed.
    interest : Interest
        Tells whether the process may end at once, or is to hand over.
    handover : HandOver
        Gives tasks up.

    Attributes
    ----------
    usage : Usage
        What tasks take.
    """

    def __init__(
        self, outputs: Outputs, rhythm: Rhythm, interest: Interest, handover: HandOver
    ) -> None:
        self._outputs = outputs
        self.usage = outputs.usage
        self._rhythm = rhythm
        self._interest = interest
        self._handover = handover
        self._agenda = handover.agenda
        self.begin = handover.agenda.begin  # for each task: no call more than it takes
        self._last = self._began = time.monotonic()
        self._pause = rhythm.pause(0.0)
        self._lock = threading.Lock()  # held by whoever adds or commits
        self._is_over = threading.Event()
        self._is_refused = False
        self._error: BaseException | None = None
        self._beside = threading.Thread(target=self._go_on_beside, name="dask-knot-parts")
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
            if self._outputs.is_full or time.monotonic() - self._last > self._pause:
                self._commit(waits=False)

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

    def settle(self) -> Sequence[GraphNode]:
        """Settle who runs what was handed over; give the tasks that have to be run yet.

        Call it when all that was kept has run.

        Raises
        ------
        StoreError
            If that can't be found out.
        """
        if self._is_refused:
            threading.Event().wait()
        with self._lock:  # a hand-over that is under way ends first; there won't be another one
            if self._error is not None:
                raise self._error
        return self._handover.settle()

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
            if erred and not has_failed:  # it can't be pickled
                self._agenda.hold(key)
        self._agenda.end(key, has_failed)
        if not has_failed or ended.stop > ended.start:
            outputs.account.note(key, ended, nbytes, erred)

    def _commit(self, final: bool = False, waits: bool = True) -> None:
        try:
            is_all = self._outputs.commit(final, self._rhythm.news is not None, waits)
        except BaseException as error:  # what is half written must not be written once more
            self._error = error
            self._outputs.close()
            raise
        if is_all:
            self._note_commit()

    def _note_commit(self) -> None:
        self._last = time.monotonic()
        self._pause = self._rhythm.pause(self._last - self._began)

    def _go_on_beside(self) -> None:
        while not self._is_over.wait(interval := max(self._pause, SHORTEST_INTERVAL)):
            wish = self._interest.look()
            if wish is Wish.END:
                self._end_process()
            with self._lock, suppress(BaseException):  # the main thread raises it
                if wish is Wish.HAND_OVER and self._error is None:
                    self._give_up()
                if time.monotonic() - self._last >= interval and self._error is None:
                    self._commit(waits=False)  # no task has ended and committed meanwhile

    def _give_up(self) -> None:
        try:
            has_committed = self._handover.give_up()
        except BaseException as error:  # what is half written must not be written once more
            self._error = error
            raise
        if has_committed:
            self._note_commit()

    def _end_process(self) -> NoReturn:
        with self._lock:  # not in the midst of a commit
            self._outputs.close()
            say("nobody needs this shard any more")
            os._exit(0)  # a child that failed would fail its array


class Wish(Enum):
    """What somebody wants of a child that runs."""

    NOTHING = auto()
    END = auto()  # nobody needs what it makes
    HAND_OVER = auto()  # others are to run what it hasn't begun


class Interest:
    """Finds out what is wanted of a shard: Batch can't end a child without failing its array.

    Looks into the store, at first ever more seldom: most children live for less than a minute.

    Parameters
    ----------
    run : Run
        Where the client says what is wanted; without patience.
    shard : ShardId
        The shard.
    first : float
        Seconds until the first look.
    call : callable, optional
        Called whenever the stage was told anything, be it by its session or by others.
    """

    def __init__(
        self,
        run: Run,
        shard: ShardId,
        first: float,
        call: Callable[[], object] = lambda: None,
    ) -> None:
        self._run = run
        self._shard = shard
        self._call = call
        self._first = self._pause = first
        self._next = time.monotonic() + first

    def look(self) -> Wish:
        """Tell what is wanted, as far as that is known; most calls only look at the clock."""
        if time.monotonic() < self._next:
            return Wish.NOTHING
        self._pause = min(2 * self._pause, LONGEST * self._first)
        self._next = time.monotonic() + self._pause
        try:
            orders = self._run.read_orders(self._shard.stage)
        except StoreError:  # nothing is wanted, or nobody knows at the moment
            return Wish.NOTHING
        self._call()
        if self._shard.index in orders.unneeded:
            return Wish.END
        return Wish.HAND_OVER if self._shard.index in orders.asked else Wish.NOTHING
