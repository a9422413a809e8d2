"""Simulated Dask: knows wanted keys only, asks for each when its hub's inputs are there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from dask.typing import Key

from dask_knot.tracking.events import Event, KeyAsked, KeyReleased


class Status(Enum):
    """Dask's states of a task, as far as they matter."""

    WAITING = auto()
    PROCESSING = auto()
    MEMORY = auto()
    ERRED = auto()
    RELEASED = auto()


@dataclass(slots=True)
class Entry:
    """A key that Dask knows; `inputs` are those of its hub, `is_held` by a client."""

    inputs: Sequence[Key]
    is_data: bool = False
    status: Status = Status.WAITING
    is_held: bool = True
    run_id: int = -1


class Scheduler:
    """Asks and releases as Dask's scheduler does, and checks the answers."""

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self.entries: dict[Key, Entry] = {}
        self._tell = tell
        self._runs = 0
        self._answered: set[int] = set()

    def update_graph(self, wanted: Collection[Key], external: Collection[Key]) -> None:
        """Take in a compact graph."""
        for key in wanted:
            entry = self.entries.setdefault(key, Entry(list(external)))
            entry.is_held = True
            if entry.status is Status.RELEASED:
                entry.status = Status.WAITING

    def scattered(self, key: Key) -> None:
        """Take in a value of the client."""
        self.entries[key] = Entry((), True, Status.MEMORY)

    def release(self, key: Key) -> None:
        """Let a client's future go."""
        self.entries[key].is_held = False

    def retry(self, key: Key) -> None:
        """Run an erred key again, after what erred before it."""
        entry = self.entries[key]
        for read in entry.inputs:
            if self.entries[read].status is Status.ERRED:
                self.retry(read)
        entry.status = Status.WAITING
        self._tell(KeyReleased(key, False))

    def answer(self, key: Key, run_id: int, is_good: bool) -> None:
        """Take an answer, which must be the first and only one to an open question."""
        entry = self.entries[key]
        assert run_id not in self._answered, f"{key} was answered twice"
        assert entry.status is Status.PROCESSING, f"{key} was not asked for"
        assert entry.run_id == run_id
        self._answered.add(run_id)
        entry.status = Status.MEMORY if is_good else Status.ERRED

    def settle(self) -> bool:
        """Do one thing that Dask would do now; tell whether there was one."""
        for key, entry in list(self.entries.items()):
            if self._forget(key, entry) or self._go_on(key, entry):
                return True
        return False

    def _forget(self, key: Key, entry: Entry) -> bool:
        if entry.is_held:
            return False
        readers = [reader for reader in self.entries.values() if key in reader.inputs]
        if not readers:
            del self.entries[key]
            self._tell(KeyReleased(key, True))
            return True
        over = all(r.status not in (Status.WAITING, Status.PROCESSING) for r in readers)
        if over and entry.status in (Status.MEMORY, Status.PROCESSING) and not entry.is_data:
            entry.status = Status.RELEASED
            self._tell(KeyReleased(key, False))
            return True
        return False

    def _go_on(self, key: Key, entry: Entry) -> bool:
        if entry.status is not Status.WAITING:
            return False
        inputs = [self.entries[read] for read in entry.inputs]
        if any(read.status is Status.ERRED for read in inputs):
            entry.status = Status.ERRED
            return True
        for read in inputs:
            if read.status is Status.RELEASED:
                read.status = Status.WAITING
                return True
        if any(read.status is not Status.MEMORY for read in inputs):
            return False
        entry.status, entry.run_id = Status.PROCESSING, self._runs
        self._runs += 1
        self._tell(KeyAsked(key, entry.run_id))
        return True
