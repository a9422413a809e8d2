"""Keys that a client asks for by their names alone: a named run has them from whoever made them.

Dask's scheduler knows the keys of the graphs that it was sent, and lets anybody wait for ever who
wants another one. Here such a key becomes a task without inputs: Dask asks for it as for any other,
and the run answers, with the value of an earlier session, or that of a job that still runs. From
then on it is a key as all are: it can be lost and asked for again, read, cancelled, gathered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from time import time
from typing import Any, Protocol

from dask.typing import Key

from dask_knot.errors import StoreError
from dask_knot.graphs.compaction import stand_in
from dask_knot.run.failure import fail
from dask_knot.session.failures import ErredKey
from dask_knot.session.hooks import Outcome

logger = logging.getLogger(__name__)

#: So many keys are named of those that a run doesn't know.
NAMED = 3
#: The reason that the future of such a key gives.
UNKNOWN = "unknown key"


class KeyRegister(Protocol):
    """A scheduler, as it is needed here: its tasks, and who wants them."""

    tasks: Mapping[Key, Any]
    generation: int

    def new_task(self, key: Key, spec: Any, state: Any) -> Any:
        """Take up a task that no graph has brought."""

    def transitions(self, recommendations: dict[Key, Any], stimulus_id: str) -> None:
        """Let keys change their states."""

    def report(self, msg: dict[str, Any], ts: Any = None, client: str | None = None) -> None:
        """Tell a client something."""

    def client_desires_keys(self, keys: Any, client: str) -> None:
        """Hold keys for a client."""

    def client_releases_keys(self, keys: Any, client: str, **options: Any) -> None:
        """Let go of keys for a client."""


class Recaller(Protocol):
    """A session, as it is needed here: it knows what the run has."""

    async def recall(self, asked: Mapping[Key, int]) -> set[Key]:
        """Let the outcomes of keys come with these run ids; name those that the run knows."""


class Recall:
    """Takes keys that nobody has sent a graph of, and asks the run for them.

    Parameters
    ----------
    scheduler : KeyRegister
        Dask's, which keeps what clients want.
    session : Recaller
        Knows what the run has.
    run : str, optional
        The name of the run; None: it has no name, and no earlier sessions.
    later : callable
        Calls something in the event loop when what runs now has ended.
    tell : callable
        Takes outcomes to Dask.
    """

    def __init__(
        self,
        scheduler: KeyRegister,
        session: Recaller,
        run: str | None,
        later: Callable[[Callable[[], None]], None],
        tell: Callable[[Sequence[Outcome]], None],
    ) -> None:
        self._scheduler = scheduler
        self._session = session
        self._run = run
        self._later = later
        self._tell = tell
        self._keys: set[Key] = set()
        self._asked: dict[Key, int] = {}
        self._open: dict[Key, int] = {}
        self._readings: set[asyncio.Task[None]] = set()
        self._numbers = 0

    def desire(
        self, desire: Callable[[Collection[Key], str], None], keys: Collection[Key], client: str
    ) -> None:
        """Hold keys for somebody, in a named run those as well that no graph has brought.

        Parameters
        ----------
        desire : callable
            Dask's own `Scheduler.client_desires_keys`.
        keys : collection of Key
            The keys.
        client : str
            Who wants them.
        """
        new = self._introduce(keys)
        desire(keys, client)
        if new:
            self._scheduler.transitions(dict.fromkeys(new, "waiting"), f"knot-recall-{time()}")

    def hold(self, keys: Collection[Key], client: str) -> None:
        """Hold keys that a graph reads for whoever sends it, if no other graph has brought them."""
        new = [key for key in keys if self._run and key not in self._scheduler.tasks]
        if new:
            self._scheduler.client_desires_keys(new, client)

    def _introduce(self, keys: Collection[Key]) -> list[Key]:
        """Let Dask know of keys that it doesn't; list them."""
        if self._run is None:
            return []
        new = [key for key in dict.fromkeys(keys) if key not in self._scheduler.tasks]
        for key in new:
            task = self._scheduler.new_task(key, stand_in(key), "released")
            task.priority = (0, self._scheduler.generation, self._numbers)
            self._numbers += 1
        self._keys.update(new)
        return new

    def takes(self, key: Key, run_id: int) -> bool:
        """Take Dask's question for a key, if it is one that no graph has brought."""
        if key not in self._keys:
            return False
        if not self._asked:
            self._later(self._ask)
        self._asked[key] = self._open[key] = run_id
        return True

    def forget(self, key: Key) -> None:
        """Note that Dask has forgotten a key: a graph may bring it the next time."""
        self._keys.discard(key)
        self._open.pop(key, None)

    async def settle(self, keys: Collection[Key]) -> None:
        """Wait until it is known of some keys whether the run has them."""
        while self._open and any(key in self._open for key in keys):
            if self._readings:
                await asyncio.wait(self._readings, return_when=asyncio.FIRST_COMPLETED)
            else:  # it will be asked when the event loop comes round
                await asyncio.sleep(0)

    def hand_over(self, keys: Collection[Key]) -> set[Key]:
        """Let a graph bring keys: Dask then takes their tasks, and their inputs, from it.

        Returns
        -------
        set of Key
            Those that are still to come, and must not wait for any inputs.
        """
        brought = self._keys.intersection(keys)
        self._keys -= brought
        tasks = {key: self._scheduler.tasks[key] for key in brought}
        there = {key for key, task in tasks.items() if task.state == "memory"}
        for key in there:
            tasks[key].run_spec = None  # Dask has no other way to take another one
        return brought - there

    def close(self) -> None:
        """Ask nothing more."""
        self._asked.clear()
        self._open.clear()
        for reading in self._readings:
            reading.cancel()

    def _ask(self) -> None:
        asked, self._asked = self._asked, {}
        if asked:
            reading = asyncio.ensure_future(self._answer(asked))
            self._readings.add(reading)
            reading.add_done_callback(self._readings.discard)

    async def _answer(self, asked: Mapping[Key, int]) -> None:
        """Let the outcomes of keys come, and refuse those that the run doesn't know."""
        try:
            known = await self._session.recall(asked)
        except Exception as error:  # nobody may wait for ever
            logger.debug("the run can't be asked for keys", exc_info=error)
            why = error if isinstance(error, StoreError) else StoreError(f"the run: {error!r}")
            self._tell([ErredKey(key, id, fail(why, key)) for key, id in asked.items()])
        else:
            self._cancel([key for key in asked if key not in known and self._is_open(key, asked)])
        finally:
            for key, run_id in asked.items():
                if self._open.get(key) == run_id:
                    del self._open[key]

    def _is_open(self, key: Key, asked: Mapping[Key, int]) -> bool:
        return self._open.get(key) == asked[key] and key in self._scheduler.tasks

    def _cancel(self, keys: Collection[Key]) -> None:
        """Cancel the futures of keys that the run doesn't know: they would be pending for ever."""
        if not keys:
            return
        named = ", ".join(map(repr, list(keys)[:NAMED])) + (", …" if len(keys) > NAMED else "")
        what = f"the run {self._run} has no key {named}: no session was asked for it"
        logger.warning("%s", what)
        holders: dict[str, list[Key]] = {}
        for key in keys:
            for holder in self._scheduler.tasks[key].who_wants or ():
                holders.setdefault(holder.client_key, []).append(key)
        for client, some in holders.items():
            message = {"op": "cancelled-keys", "keys": some, "reason": UNKNOWN, "msg": what}
            self._scheduler.report(message, client=client)
            self._scheduler.client_releases_keys(
                keys=some, client=client, stimulus_id=f"knot-unknown-{time()}"
            )
