"""Children that are asked to hand over while a task runs, clients that claim, machines that go."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from dask.typing import Key

from dask_knot.errors import StoreError
from dask_knot.job import parts
from dask_knot.run.codec import Bytes
from dask_knot.run.manifest import Handed
from dask_knot.run.names import ShardId
from dask_knot.run.orders import Claimant, Orders
from dask_knot.run.store import Store
from dask_knot.run.work import ShardOutput, ShardWork

from .runs import FIRST, SECOND, Rehearsal

ID = ShardId(FIRST, 0)


class GoneError(StoreError):
    """A machine is gone in the midst of its work."""


class Looks:
    """Counts how often a child has asked for its orders."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0

    def note(self) -> None:
        """Have one more."""
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def wait(self) -> None:
        """Wait until a child has done what it was told before: the third look comes after that.

        The first one may have begun before, the second one has seen it.
        """
        with self._changed:
            goal = self._count + 3
            assert self._changed.wait_for(lambda: self._count >= goal, 30), "no child looks"


class WatchedStore(Store):
    """A store that counts looks, and is gone for a child after so many small writes."""

    looks: Looks
    left = 1_000_000

    def get(self, name: str) -> memoryview:
        try:
            return super().get(name)
        finally:
            if "/orders/" in name:
                self.looks.note()

    def put_new(self, name: str, data: Iterable[Bytes]) -> bool:
        if self.left <= 0:
            raise GoneError
        type(self).left -= 1
        return super().put_new(name, data)


class Play:
    """What happens to a shard: tasks of tests are pickled, so there is one for all of them."""

    def __init__(self) -> None:
        self.ran: list[Key] = []
        self.asking: Key = None
        self.is_claimed = False
        self.looks = Looks()
        self.run = Rehearsal(Store("memory://"))
        self._lock = threading.Lock()

    def begin(self, folder: Path) -> None:
        """Begin anew."""
        self.__init__()  # type: ignore[misc]
        self.run = Rehearsal(Store(folder / "store"))

    def note(self, key: Key) -> None:
        """Note that a task runs; while one of them does, the child is asked."""
        with self._lock:
            self.ran.append(key)
        if key == self.asking:
            self.ask()

    def ask(self) -> None:
        """Ask the child to hand over, wait until it has, and claim that if a client is there."""
        self.run.tell_orders(FIRST, Orders(asked=frozenset([0])))
        self.looks.wait()
        if self.is_claimed and self.handed() is not None:
            self.run.claim(ID, Claimant.CLIENT)  # the child may have been first

    def handed(self) -> Handed | None:
        """Tell what parts say of what was handed over; no two of them do."""
        ids = [id for id in self.run.list_manifests([FIRST]) if id.part is not None]
        found = [self.run.read_manifest(id).manifest.handed for id in ids]
        told = [handed for handed in found if handed is not None]
        assert len(told) <= 1
        return told[0] if told else None

    def store(self, writes: int = 1_000_000) -> Store:
        """Open the store as a child does, which lives for so many small writes."""
        made = type("OneStore", (WatchedStore,), {"left": writes, "looks": self.looks})
        return made(self.run.store.url)  # type: ignore[no-any-return]

    def attempt(self, number: int = 1, writes: int = 1_000_000) -> bool:
        """Run the shard; tell whether the child came to its end."""
        try:
            self.run.start(ID, number, self.store(writes))
        except GoneError:
            return False
        return True

    def handed_work(self, content: ShardWork, handed: Handed) -> ShardWork:
        """Make the shard that a client plans for what was handed over."""
        keys = [*content.outputs, *handed.extra]
        made = {o.ordinal for o in self.run.manifest(ID).outputs}
        inputs = {keys[ordinal]: ShardOutput(ID, ordinal) for ordinal in made}
        wanted = [content.outputs[ordinal] for ordinal in handed.outputs]
        nodes, needed = {node.key: node for node in content.tasks}, set[Key]()
        todo = list(wanted)
        while todo:
            key = todo.pop()
            if key in nodes and key not in inputs and key not in needed:
                needed.add(key)
                todo += nodes[key].dependencies
        tasks = [node for node in content.tasks if node.key in needed]
        assert Counter(handed.tasks).total() == len(tasks)
        read = {key for node in tasks for key in node.dependencies} - needed
        literals = [node for node in content.literals if node.key in read]
        inputs = {key: inputs[key] for key in read - {node.key for node in literals}}
        return ShardWork(tasks, literals, inputs, wanted, content.options)

    def run_handed(self, content: ShardWork) -> dict[Key, object]:
        """Run what was handed over, as a client has it run; give all outcomes of the shard."""
        handed = self.run.manifest(ID).handed
        found = self.own(content)
        if handed is not None:
            found |= self.run.outcomes(self.handed_work(content, handed), SECOND)
        return found

    def own(self, content: ShardWork) -> dict[Key, object]:
        """Give the outcomes that are in the last manifest, without those of extra outputs."""
        handed = self.run.manifest(ID).handed
        extra = list(handed.extra) if handed is not None else []
        outputs: Sequence[Key] = [*content.outputs, *extra]
        found = self.run.read(ShardWork((), (), {}, outputs, content.options), ID)
        assert found.keys() >= set(extra)
        return {key: value for key, value in found.items() if key in content.outputs}


PLAY = Play()


@contextmanager
def quick_looks() -> Iterator[None]:
    """Let children look as often as they can."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "SHORTEST_INTERVAL", 0.001)
        yield
