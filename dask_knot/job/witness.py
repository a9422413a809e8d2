"""Answers what people ask a job: where it is and how it fares, in a thread beside its tasks."""

from __future__ import annotations

import json
import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from dask_knot.errors import StoreError
from dask_knot.job.burden import Burden
from dask_knot.job.whereabouts import stacks_here, tasks_here
from dask_knot.run.asks import Answer, Asks, Question, Vitals, Wanted, fit
from dask_knot.run.names import ShardId
from dask_knot.run.run import Run

#: Seconds between two looks at a folder, which cost nothing, and at another store while anything
#: is asked there.
FOLDER_PAUSE, STORE_PAUSE = 1.0, 5.0
#: After so many seconds without news of anybody who watches, or asks, it is over.
LEASE = 60.0
#: The end of a job waits so many seconds for an answer that is under way.
PARTING = 1.0


class Witness:
    """Answers what is asked of one child.

    In a folder it looks every second whether anything is asked. Elsewhere a look costs a request:
    there it waits until it is `called`, as who looks for orders has found some.

    Parameters
    ----------
    run : Run
        Where people ask; without patience.
    shard : ShardId
        The shard.
    cores : int
        How many tasks may run at once.
    clock : callable
        Seconds that never go back.
    """

    def __init__(
        self, run: Run, shard: ShardId, cores: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._asked = run.inquiries
        self._shard = shard
        self._cores = cores
        self._clock = clock
        self._job = os.environ.get("AWS_BATCH_JOB_ID", "")
        self._answered: set[str] = set()
        self._declined: set[str] = set()
        self._private: list[str] = []
        self._watch, self._news = "", clock() - LEASE
        self._burden: Burden | None = None
        self._told = 0
        self._called = threading.Event()
        self._is_over = False
        self._thread = threading.Thread(target=self._go_on, name="dask-knot-witness", daemon=True)

    def __enter__(self) -> Witness:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._called.set()
        self._thread.join(PARTING)
        for path in self._private:
            with suppress(OSError):  # usually who asked has deleted it
                os.unlink(path)

    def call(self) -> None:
        """Have it look, as there is something in the store for the stage."""
        self._called.set()

    def look(self) -> float | None:
        """Look once, and answer; tell after how many seconds to look again.

        None: when it is called.

        Raises
        ------
        StoreError
            If the store can't be asked.
        """
        sees = self._asked.sees_any(self._shard.stage)
        asks = Asks() if sees is False else self._asked.read(self._shard.stage)
        self._answer(asks)
        if sees is not None:
            return FOLDER_PAUSE
        return STORE_PAUSE if self._clock() - self._news < LEASE else None

    def _answer(self, asks: Asks) -> None:
        for question in asks.questions:
            if question.id not in self._answered:
                self._reply(question)
        if asks.watch and asks.watch != self._watch:
            self._watch = asks.watch
            self._news = self._clock()
        if asks.watch and self._clock() - self._news < LEASE:
            self._tell()
        else:
            self._burden = None

    def _reply(self, question: Question) -> None:
        """Answer a question; whom it doesn't mean says only what he runs, if that costs nothing."""
        tasks = tasks_here()
        is_meant = fit(question.text, self._shard, self._job, [task.key for task in tasks]) > 0
        if is_meant:
            self._answered.add(question.id)
        elif self._asked.is_dear or question.id in self._declined:
            return  # it may run the key later: it isn't answered yet
        self._declined.add(question.id)
        self._news = self._clock()
        asks_place = question.wanted is Wanted.PLACE
        if is_meant and asks_place:
            self._private.append(_environment_file())
        answer = Answer(
            job=self._job,
            attempt=os.environ.get("AWS_BATCH_JOB_ATTEMPT", ""),
            host=platform.node(),
            pid=os.getpid(),
            folder=_folder(),
            tasks=tasks,
            stacks=stacks_here(question.text) if is_meant and not asks_place else "",
            private=self._private[-1] if is_meant and asks_place else "",
        )
        self._asked.answer(question.id, self._shard, answer)

    def _tell(self) -> None:
        if self._burden is None:
            self._burden = Burden()
            time.sleep(PARTING / 4)  # a first measure of something
        cpu, memory = self._burden.read()
        limit, tasks = self._burden.limit, tasks_here()
        pid, host, number = os.getpid(), platform.node(), self._told
        job, cores, watch = self._job, self._cores, self._watch
        self._told += 1
        vitals = Vitals(watch, number, job, host, pid, cpu, cores, memory, limit, tasks)
        self._asked.tell_vitals(self._shard, vitals)

    def _go_on(self) -> None:
        pause: float | None = FOLDER_PAUSE
        if self._asked.is_dear:
            pause = None
        while True:
            self._called.wait(pause)
            self._called.clear()
            if self._is_over:
                return
            try:
                pause = self.look()
            except StoreError:  # it passes, or the shard will say so
                continue


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # somebody has deleted it
        return ""


def _environment_file() -> str:
    """Write this process' environment where only its user can read it, on this machine.

    Never into the store: there may be secrets in it.
    """
    with suppress(OSError):
        descriptor, path = tempfile.mkstemp(prefix="dask-knot-environment-")
        with os.fdopen(descriptor, "w") as file:
            json.dump(dict(os.environ), file)
        return path
    return ""
