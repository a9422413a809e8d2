"""News of Dask on their way to the tracker: in order, and not in the midst of a transition."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import time
from typing import Any

from dask.typing import Key

from dask_knot.cluster.outcomes import Outcomes
from dask_knot.cluster.recall import Recall
from dask_knot.run.manifest import NOWHERE
from dask_knot.tracking import actions, events

_NONE_TYPE = b""


class News:
    """Gathers what Dask asks and lets go of, and tells it when Dask is done with its transitions.

    Parameters
    ----------
    handle : callable
        Takes events to the tracker.
    outcomes : Outcomes
        Takes outcomes to Dask: those of hubs are known at once.
    later : callable
        Calls something in the event loop when what runs now has ended.
    recall : Recall
        Takes Dask's questions for keys that no graph has brought.
    """

    def __init__(
        self,
        handle: Callable[[Sequence[events.Event]], None],
        outcomes: Outcomes,
        later: Callable[[Callable[[], None]], None],
        recall: Recall,
    ) -> None:
        self._handle = handle
        self._outcomes = outcomes
        self._later = later
        self._recall = recall
        self._is_left = False
        self._events: list[events.Event] = []
        self._asked_hubs: list[tuple[Key, int]] = []
        self._hubs: set[Key] = set()
        self._is_closed = False

    def close(self) -> None:
        """Tell nothing more: nobody waits for anything."""
        self._is_closed = True
        self._recall.close()

    def add_hubs(self, hubs: Collection[Key]) -> None:
        """Learn of keys that have no task: they are done as soon as Dask asks for them."""
        self._hubs.update(hubs)

    def ask(self, key: Key, run_id: int) -> None:
        """Note that Dask wants a key to be computed."""
        if self._recall.takes(key, run_id):
            return
        if key in self._hubs:
            self._asked_hubs.append((key, run_id))
        else:
            self._events.append(events.KeyAsked(key, run_id))
        self._flush_soon()

    def without_questions(self, messages: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """Take out of Dask's messages to workers what the gateway has no use for.

        Those that would start a task are questions, and it holds no values that it could free.
        """
        left: dict[str, list[Any]] = {}
        for address, some in messages.items():
            for message in some:
                if message["op"] == "compute-task":
                    self.ask(message["key"], message["run_id"])
                elif message["op"] != "free-keys":
                    left.setdefault(address, []).append(message)
        return left

    def release(self, key: Key, is_forgotten: bool) -> None:
        """Note that Dask lets a key go."""
        if is_forgotten:
            self._hubs.discard(key)
            self._recall.forget(key)
        self._events.append(events.KeyReleased(key, is_forgotten, self._is_left))
        self._flush_soon()

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """Take what is released meanwhile for left: nobody has said that it isn't needed."""
        self._is_left = True
        try:
            yield
        finally:
            self._is_left = False

    def tell_now(self, event: events.Event) -> None:
        """Tell an event, behind all that came before it."""
        self._events.append(event)
        self.flush()

    def flush(self) -> None:
        """Tell all that has been noted."""
        if self._is_closed:
            return
        news, self._events = self._events, []
        hubs, self._asked_hubs = self._asked_hubs, []
        if news:
            self._handle(news)
        facts = actions.Facts(0, _NONE_TYPE, "NoneType", time(), time())
        self._outcomes.tell(
            [actions.FinishKey(key, run_id, NOWHERE, facts) for key, run_id in hubs]
        )

    def _flush_soon(self) -> None:
        if len(self._events) + len(self._asked_hubs) == 1:
            self._later(self.flush)
