"""One look at a worker for all that happens at a time, and none at one that has left."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from dask_knot.cluster.idleness import Idleness, steal_nothing


class Watched:
    """A scheduler with workers, an event loop that runs when it is told to, and plugins."""

    def __init__(self, *addresses: str) -> None:
        self.workers: dict[str, Any] = {address: _Worker(address=address) for address in addresses}
        self.calls: list[Any] = []
        self.seen: list[str] = []
        self.thief, self.other = object(), object()
        self.extensions: dict[str, Any] = {"stealing": self.thief}
        self.plugins: dict[str, Any] = {"WorkStealing-1": self.thief, "another": self.other}
        self.idleness = Idleness(self, self.look, self.calls.append)

    def look(self, worker: Any) -> None:
        """See whether a worker is idle."""
        self.seen.append(worker.address)

    def remove_plugin(self, name: str) -> None:
        """Let one hear no more."""
        del self.plugins[name]

    def run(self) -> None:
        """Let the event loop do what it has."""
        calls, self.calls[:] = [*self.calls], []
        for call in calls:
            call()


class _Worker(SimpleNamespace):
    __hash__ = object.__hash__


def test_one_look_for_many_questions() -> None:
    watched = Watched("a", "b")
    for address in "aaba":
        watched.idleness.ask(watched.workers[address])
    assert (watched.seen, len(watched.calls)) == ([], 1)
    watched.run()
    assert sorted(watched.seen) == ["a", "b"]
    watched.idleness.ask(watched.workers["a"])
    watched.run()
    assert watched.seen[2:] == ["a"]


def test_none_at_a_worker_that_has_left() -> None:
    watched = Watched("a", "b")
    for worker in watched.workers.values():
        watched.idleness.ask(worker)
    watched.workers = {"a": watched.workers["a"], "b": _Worker(address="b")}
    watched.run()
    assert watched.seen == ["a"]


def test_nobody_follows_tasks_to_steal_them() -> None:
    watched = Watched()
    steal_nothing(watched)
    assert watched.plugins == {"another": watched.other}
    steal_nothing(watched)
    watched.extensions.clear()  # as it is where it is turned off
    steal_nothing(watched)
    assert watched.plugins == {"another": watched.other}
