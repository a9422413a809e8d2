"""The agenda of a shard: which of its tasks have begun, have ended, or are given up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from threading import Lock
from typing import NamedTuple

from dask.typing import Key

from dask_knot.internals import GraphNode


class GivenUp(NamedTuple):
    """Tasks that a shard gives up, and which of the others' values they read; both in order."""

    tasks: Sequence[GraphNode]
    reads: Sequence[Key]


class Agenda:
    """Decides who runs a task: it is begun here or given up, never both, whatever threads do.

    Parameters
    ----------
    tasks : sequence of GraphNode
        The tasks of the shard, inputs before readers.
    given_up : collection of Key
        Those that an earlier attempt has given up.

    Attributes
    ----------
    tasks : sequence of GraphNode
        All of them.
    """

    def __init__(self, tasks: Sequence[GraphNode], given_up: Collection[Key] = ()) -> None:
        self.tasks = tasks
        self._lock = Lock()  # held to begin a task, and while it is decided what is given up
        self._given_up = frozenset(given_up)
        self._begun: set[Key] = set()
        self._ended: set[Key] = set()
        self._failed: set[Key] = set()
        self._stuck: set[Key] = set()

    def begin(self, key: Key) -> bool:
        """Begin a task, unless it has begun or is given up."""
        with self._lock:
            if key in self._begun or (self._given_up and key in self._given_up):
                return False
            self._begun.add(key)
        return True

    def kept_first(self) -> Sequence[GraphNode]:
        """Give all tasks, behind the others those that are given up."""
        given = self._given_up
        return sorted(self.tasks, key=lambda n: n.key in given) if given else self.tasks

    # The rest is called by one thread at a time: they hold the lock of the shard's outcomes.

    def end(self, key: Key, has_failed: bool) -> None:
        """Note that a task has ended: its value is there, or the Failure that stands for it."""
        self._ended.add(key)
        if has_failed:
            self._failed.add(key)

    def has_ended(self, key: Key) -> bool:
        """Tell whether the value of a task is there."""
        return key in self._ended

    def hold(self, key: Key) -> None:
        """Note that a value can't leave this process: what reads it is never given up."""
        self._stuck.add(key)

    def foresee(self) -> GivenUp:
        """Tell what would be given up now. Soon it may be less, as tasks begin; never other."""
        with self._lock:
            return self._choose()

    def give_up(self, is_output: Callable[[Key], bool]) -> GivenUp | None:
        """Give up what can be given up; None if that makes no output."""
        with self._lock:
            chosen = self._choose()
            if not any(is_output(node.key) for node in chosen.tasks):
                return None
            self._given_up = frozenset(node.key for node in chosen.tasks)
        return chosen

    def take_back(self) -> list[GraphNode]:
        """Give nothing up any more; give the tasks that have to be run for that."""
        with self._lock:
            self._given_up = frozenset()
            return [node for node in self.tasks if node.key not in self._begun]

    def _choose(self) -> GivenUp:
        """Give up all that hasn't begun, but for what nobody else could run, or would run sooner.

        What waits for a task that runs stays, unless it needs something that is given up, too.
        What reads a failure stays, as it ends at once; and what reads a value that can't leave,
        with all that it needs: nothing that stays may need what is given up.
        """
        left = [node for node in self.tasks if node.key not in self._begun]
        staying = self._bound(left)
        blocked = (self._begun - self._ended) | self._failed | staying
        given: set[Key] = set()
        for node in left:
            if node.key in staying:
                continue
            reads = node.dependencies
            if given.isdisjoint(reads) and not blocked.isdisjoint(reads):
                blocked.add(node.key)
            else:
                given.add(node.key)
        tasks = [node for node in left if node.key in given]
        return GivenUp(tasks, self._others(tasks, given))

    def _bound(self, left: Sequence[GraphNode]) -> set[Key]:
        """Name tasks that read what can't leave, and all that haven't begun and that they need."""
        bound: set[Key] = set()
        for node in reversed(left) if self._stuck else ():
            if node.key in bound or not self._stuck.isdisjoint(node.dependencies):
                bound.add(node.key)
                bound.update(node.dependencies)
        return bound - self._begun

    def _others(self, tasks: Iterable[GraphNode], given: Collection[Key]) -> list[Key]:
        read = {key for node in tasks for key in node.dependencies}
        return [n.key for n in self.tasks if n.key in read and n.key not in given]
