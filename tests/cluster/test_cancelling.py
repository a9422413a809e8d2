"""Cancelling goes through keys that nobody wants, to each one once."""

from __future__ import annotations

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

from dask.typing import Key
from distributed import Scheduler

from dask_knot.cluster.cancelling import CancelsThrough


class Recorder(Scheduler):  # type: ignore[misc]
    """Stands where Dask's own cancel does."""

    def __init__(self, tasks: dict[Key, Any]) -> None:
        self.tasks = tasks
        self.cancelled: list[Key] = []

    def stimulus_cancel(self, keys: Collection[Key], client: str, **options: Any) -> None:
        """Write down what would be cancelled."""
        self.cancelled += keys

    def __del__(self) -> None:
        """There is nothing to close."""


class Cancels(CancelsThrough, Recorder):
    """Cancels where nothing runs."""


def test_keys_with_many_ways_between_them_are_looked_at_once() -> None:
    looks = 0

    class Task(SimpleNamespace):
        @property
        def who_wants(self) -> set[str]:
            nonlocal looks
            looks += 1
            return {"client"} if self.key == 20 else set()

    tasks: dict[Key, Any] = {number: Task(key=number) for number in range(21)}
    for number, task in tasks.items():  # as in a, b = b, client.submit(add, a, b)
        task.dependents = [tasks[n] for n in (number + 1, number + 2) if n in tasks]
    scheduler = Cancels(tasks)
    scheduler.stimulus_cancel([0, "unknown"], client="client")
    assert scheduler.cancelled == [20]
    assert looks == 21
