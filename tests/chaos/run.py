"""One graph under one fault, in this process: what came of it, and what it left behind."""

from __future__ import annotations

import gc
import logging
import tempfile
import time
import traceback
from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import dask
from distributed import Client

from dask_knot import KnotCluster
from dask_knot.errors import KnotError
from dask_knot.local.commons import Commons
from dask_knot.run.sharedmemory import NOTE
from tests.chaos import edge, graphs
from tests.chaos.edge import Journal
from tests.chaos.fault import Fault, Scene
from tests.chaos.faults import FAULTS
from tests.chaos.rough import Rough
from tests.end_to_end.conftest import SMALL, Held

#: Seconds that threads and processes have to end after the cluster was closed.
GRACE = 10.0
#: So much of what is free in shared memory may be taken.
SHARE = 0.1
#: Where runs without a name leave what their tasks have cost.
COSTS = "_costs"
#: What the log must never say.
MISTAKES = ("made a mistake", "never retrieved", "exception in thread", "Exception in callback")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a graph.

    Attributes
    ----------
    result : str
        ``right``, ``typed`` (an error of ours), ``wrong``, ``untyped`` (another error), ``hang``,
        or ``died``.
    struck : int
        How often the fault struck.
    left : tuple of str
        What was left behind, and mistakes that the log tells of.
    """

    seed: int
    fault: str
    graph: str
    result: str
    struck: int = 0
    seconds: float = 0.0
    left: tuple[str, ...] = ()
    detail: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it is as it should be."""
        may_err = not FAULTS[self.fault].heals
        return not self.left and (self.result == "right" or (self.result == "typed" and may_err))


def run(seed: int, name: str) -> Outcome:
    """Compute the graph of a seed under a fault."""
    fault, random, start = FAULTS[name], Random(f"{name} {seed}"), time.monotonic()
    case = graphs.make(seed, fault.nap, fault.graph)
    expected = graphs.attempt(case.expect)
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder, _listening() as said:
        journal = Journal(Path(folder, "journal"))
        journal.folder.mkdir()
        store = Path(folder, "store")
        fault.place(store)
        try:
            with _shared_memory(store, f"{name} {seed}") as memory:
                before = Held()
                found = _compute(case, fault, random, journal, store)
                objects = [] if fault.leaves_objects else [*_left_in(store), *_left_in(memory)]
                left = [*objects, *_still_held(before), *said]
        finally:
            fault.remove(store)
        struck = journal.struck
    result, detail = _judge(found, expected, fault)
    seconds = round(time.monotonic() - start, 2)
    return Outcome(seed, name, case.kind, result, struck, seconds, tuple(left), detail)


@contextmanager
def _shared_memory(store: Path, case: str) -> Iterator[Path]:
    """Let the values of some cases lie in shared memory, as those of runs without a store do."""
    commons = Commons.of_share(SHARE) if Random(f"memory {case}").random() < 0.5 else None
    if commons is None:
        yield store
        return
    try:
        commons.serve(store)
        yield Path(commons.memory.folder)
    finally:
        commons.close()


def _compute(case: graphs.Case, fault: Fault, random: Random, journal: Journal, store: Path) -> Any:
    rule = fault.rule(random)
    with dask.config.set({"knot.local.patience": fault.patience}):
        cluster = KnotCluster(
            **SMALL,
            store=store,
            part_interval=fault.part_interval,
            environment=edge.tell(journal, rule),
        )
    found: Any = None
    try:
        scene = Scene(cluster, Rough(cluster), journal, random, store)
        edge.install(journal, rule)
        try:
            found = graphs.attempt(lambda: _use(case, fault, scene))
        finally:
            scene.end()
            fault.end(scene)
    finally:
        closed = graphs.attempt(cluster.close)
        edge.remove()
    if isinstance(closed, Exception):
        # It must not hide what the graph raised, and be one of ours as well.
        return found if isinstance(found, Exception) and isinstance(closed, KnotError) else closed
    return found


def _use(case: graphs.Case, fault: Fault, scene: Scene) -> Any:
    with Client(scene.cluster) as client:
        fault.begin(scene)
        try:
            return case.run(client, lambda: fault.between(scene))
        finally:
            scene.end()
            fault.end(scene)


def _judge(found: Any, expected: Any, fault: Fault) -> tuple[str, str]:
    if graphs.same(found, expected):
        return "right", ""
    if not isinstance(found, BaseException):
        return "wrong", f"expected {expected!r}\nfound {found!r}"[:4000]
    told = "".join(traceback.format_exception(found))
    is_ours = isinstance(found, KnotError) or (fault.closes and _is_cancelled(found))
    return ("typed" if is_ours else "untyped"), told


def _is_cancelled(error: BaseException) -> bool:
    return isinstance(error, CancelledError) or "ancelled" in type(error).__name__


def _left_in(store: Path) -> list[str]:
    """Name what an unnamed run leaves in its store, beside what its tasks have cost."""
    objects = (path.relative_to(store) for path in store.rglob("*") if path.is_file())
    return [f"object {name}" for name in objects if name.parts[0] != COSTS and name.name != NOTE]


def _still_held(before: Held) -> list[str]:
    deadline = time.monotonic() + GRACE
    while left := Held().more_than(before):
        if time.monotonic() > deadline:
            return left
        gc.collect()
        time.sleep(0.02)
    return []


class _Mistakes(logging.Handler):
    """Keeps what the log tells of mistakes."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it if it is one."""
        text = record.getMessage()
        if record.levelno >= logging.CRITICAL or any(word in text for word in MISTAKES):
            error = record.exc_info[1] if record.exc_info else None
            self.said.append(f"log: {text}: {error!r}"[:500])


@contextmanager
def _listening() -> Iterator[list[str]]:
    listener = _Mistakes()
    loggers = [logging.getLogger(name) for name in ("", "dask_knot", "distributed", "tornado")]
    loggers = [logger for logger in loggers if logger.name == "root" or not logger.propagate]
    for logger in loggers:
        logger.addHandler(listener)
    try:
        yield listener.said
    finally:
        for logger in loggers:
            logger.removeHandler(listener)
