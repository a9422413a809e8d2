"""One worker: what Dask does so that many are busy alike is done once in a while, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol


class WorkerKeeper(Protocol):
    """A scheduler, as it is needed here: its workers, and who hears of their tasks."""

    workers: Mapping[str, Any]
    extensions: Mapping[str, Any]
    plugins: Mapping[str, Any]

    def remove_plugin(self, name: str) -> None:
        """Let somebody hear no more."""


class Idleness:
    """Looks whether workers are idle, once for all keys of which Dask asks that at a time.

    Parameters
    ----------
    scheduler : WorkerKeeper
        Asks twice for each key.
    look : callable
        Dask's own `Scheduler.check_idle_saturated`.
    later : callable
        Calls something in the event loop when what runs now has ended.
    """

    def __init__(
        self,
        scheduler: WorkerKeeper,
        look: Callable[[Any], None],
        later: Callable[[Callable[[], None]], None],
    ) -> None:
        self._scheduler = scheduler
        self._look = look
        self._later = later
        self._asked: set[Any] = set()

    def ask(self, worker: Any) -> None:
        """Look at a worker before long."""
        if not self._asked:
            self._later(self._look_at_all)
        self._asked.add(worker)

    def _look_at_all(self) -> None:
        asked, self._asked = self._asked, set()
        for worker in asked:
            if self._scheduler.workers.get(worker.address) is worker:  # it hasn't left
                self._look(worker)


def steal_nothing(scheduler: WorkerKeeper) -> None:
    """Let nobody follow each task to steal some; pages of stealing stay, and show none."""
    thief = scheduler.extensions.get("stealing")
    for name in [name for name, plugin in scheduler.plugins.items() if plugin is thief]:
        scheduler.remove_plugin(name)
