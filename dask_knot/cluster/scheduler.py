"""KnotScheduler: a graph comes in, wanted keys go to Dask, tasks go to the tracker.

Dask's scheduler keeps what clients asked for. Its one worker, the gateway, never computes: a
``compute-task`` message to it becomes a question to the tracker, without a way over the network.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from itertools import count
from time import time
from typing import Any

from dask.typing import Key
from distributed.core import error_message
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.protocol import to_serialize
from distributed.utils import offload

from dask_knot.cluster.cancelling import CancelsThrough
from dask_knot.cluster.leaving import LeavesQuietly
from dask_knot.cluster.outcomes import TellsOutcomes
from dask_knot.cluster.plugins import PluginScheduler
from dask_knot.cluster.replay import Replay
from dask_knot.dashboard.show import show
from dask_knot.errors import StoreError, UnsupportedGraphError
from dask_knot.graphs.annotations import Bounds, check_workers, for_dask
from dask_knot.graphs.compaction import compact
from dask_knot.graphs.constants import Constants
from dask_knot.graphs.opening import OpenedGraph, open_graph
from dask_knot.run.manifest import NOWHERE
from dask_knot.session.session import Session
from dask_knot.session.values import EncodedValues
from dask_knot.tracking import actions, events

logger = logging.getLogger(__name__)

HUB = "knot-inputs"


class KnotScheduler(CancelsThrough, LeavesQuietly, PluginScheduler, TellsOutcomes):
    """Dask's scheduler, which plans before it schedules.

    Parameters
    ----------
    session : Session
        Runs the tasks.
    **options
        As for `distributed.Scheduler`.
    """

    def __init__(self, session: Session, **options: Any) -> None:
        super().__init__(**options)
        self._session = session
        self.job_plugins = session.plugins
        self._bounds = Bounds(session.size, session.largest)
        self._constants = Constants()
        self._news: list[events.Event] = []
        self._asked_hubs: list[tuple[Key, int]] = []
        self._hub_numbers = count()
        self._hubs: set[Key] = set()
        self._restarts = 0
        self._scatter_error: StoreError | None = None
        self.add_plugin(_Releases(self), name="knot-releases")
        self.extensions["replay-tasks"] = Replay(self, session)
        show(self, session)

    async def start_unsafe(self) -> KnotScheduler:
        """Start the scheduler, and the session with it."""
        await super().start_unsafe()
        self._session.hooks.outcomes = self.tell
        self._session.start()
        return self

    async def update_graph(
        self,
        client: str,
        expr_ser: Any,
        keys: set[Key],
        annotations: Mapping[str, Any] | None = None,
        **rest: Any,
    ) -> None:
        """Take a graph from a client: plan its tasks, and let Dask know of the wanted keys only."""
        if client not in self.clients:
            return
        self._session.handle([events.ArrivalBegan()])
        try:
            await self._take_graph(client, expr_ser, keys, dict(annotations or {}), rest)
        finally:
            self._session.handle([events.ArrivalEnded()])

    async def _take_graph(
        self,
        client: str,
        expr_ser: Any,
        keys: set[Key],
        everywhere: dict[str, Any],
        rest: dict[str, Any],
    ) -> None:
        restarts = self._restarts
        try:
            opened = await self._open(expr_ser, keys, everywhere, bool(rest.pop("actors", None)))
        except Exception as error:
            self._refuse(client, keys, error)
            return
        if client not in self.clients:  # any more: it took a while
            return
        lost = [key for key in opened.graph.external if key not in self.tasks]
        if lost or restarts != self._restarts:
            self._cancel(client, keys, lost)
            return
        self._flush()
        self._session.handle([events.GraphSubmitted(opened.graph, is_held=True)])
        try:
            small = compact(opened, f"{HUB}-{next(self._hub_numbers)}")
            self._hubs |= small.hubs
            await super().update_graph(
                client=client,
                expr_ser=small.packed,
                keys=keys,
                annotations=for_dask(opened.annotations, everywhere),
                **{**rest, "internal_priority": small.order},
            )
        except Exception as error:
            self._refuse(client, keys, error)
        finally:
            taken = {key for key in opened.graph.wanted if key in self.tasks}
            self._news.append(events.GraphTaken(opened.graph, taken))
            self._flush()

    async def _open(
        self, expr_ser: Any, keys: set[Key], everywhere: dict[str, Any], has_actors: bool
    ) -> OpenedGraph:
        if has_actors:
            raise UnsupportedGraphError(
                "actors live in a worker, and jobs come and go: keep the state in the values "
                "that tasks return, or use a LocalCluster"
            )
        known = self._bounds, self._constants, self._session.is_here
        opened: OpenedGraph = await offload(open_graph, expr_ser, keys, everywhere, *known)
        check_workers(opened.annotations, everywhere, self.worker_names())
        return opened

    def send_all(self, client_msgs: dict[str, Any], worker_msgs: dict[str, Any]) -> None:
        """Send messages; those that would start a task at the gateway go to the tracker."""
        for address in list(worker_msgs):
            rest = []
            for message in worker_msgs[address]:
                if message["op"] == "compute-task":
                    self._ask(message["key"], message["run_id"])
                else:
                    rest.append(message)
            worker_msgs[address] = rest
        super().send_all(client_msgs, {a: some for a, some in worker_msgs.items() if some})

    async def gather(
        self, keys: Collection[Key], serializers: list[str] | None = None
    ) -> dict[str, Any]:
        """Give a client values: their bytes are read here and decoded there."""
        values, lost = await self.read_values(keys, serializers)
        if lost:
            return {"status": "error", "keys": lost}
        self.log_event("all", {"action": "gather", "count": len(keys)})
        return {"status": "OK", "data": values}

    async def read_values(
        self, keys: Collection[Key], serializers: Collection[str] | None
    ) -> tuple[Any, list[Key]]:
        """Read values as a client can be sent them, and name the keys that have none."""
        tracker = self._session.tracker
        places = {key: place for key in keys if (place := tracker.place_of(key))}
        found, damaged = await asyncio.to_thread(self._session.read_values, places)
        for key, error in damaged.items():
            if tracker.place_of(key) == places[key]:  # else it was made again meanwhile
                self._session.handle([events.ValueLost(key, error)])
        lost = [key for key in keys if key not in found]
        self._release_lost(lost)
        if serializers is None or "pickle" in serializers:
            return to_serialize(EncodedValues(found)), lost
        # Values are stored as pickles: whoever takes none gets them in a way that it does take.
        values = await offload(EncodedValues(found).decoded)
        return {key: to_serialize(value) for key, value in values.items()}, lost

    async def scatter(self, *arguments: Any, **options: Any) -> Any:
        """Let the gateway put values into the store; what it raises would only come back as text.

        Raises
        ------
        StoreError
            If they can't be put there.
        """
        try:
            return await super().scatter(*arguments, **options)
        except Exception as error:
            cause, self._scatter_error = self._scatter_error, None
            raise (cause or error) from error

    def not_scattered(self, error: StoreError) -> None:
        """Learn why the gateway could not put values into the store."""
        self._scatter_error = error

    def scattered(self, event: events.ValuesScattered) -> None:
        """Learn of values that the gateway has put into the store."""
        self._flush()
        self._session.handle([event])

    def _release_lost(self, keys: Collection[Key]) -> None:
        """Let Dask ask again for keys whose values can't be read: they are made again."""
        place_of = self._session.tracker.place_of
        in_memory = {key for key in keys if key in self.tasks and self.tasks[key].state == "memory"}
        lost = {key: "released" for key in in_memory if place_of(key) is None}
        self.transitions(lost, f"knot-value-lost-{time()}")

    def _ask(self, key: Key, run_id: int) -> None:
        if key in self._hubs:
            self._asked_hubs.append((key, run_id))
        else:
            self._news.append(events.KeyAsked(key, run_id))
        if len(self._news) + len(self._asked_hubs) == 1:
            # Not now: Dask is in the midst of its transitions.
            self.loop.add_callback(self._flush)

    def _note_release(self, key: Key, is_forgotten: bool) -> None:
        if is_forgotten:
            self._hubs.discard(key)
        self._news.append(events.KeyReleased(key, is_forgotten))
        if len(self._news) + len(self._asked_hubs) == 1:
            self.loop.add_callback(self._flush)

    def _flush(self) -> None:
        """Tell the tracker, in order, what Dask has done, unless nobody waits for anything."""
        if self.is_leaving:
            return
        news, self._news = self._news, []
        hubs, self._asked_hubs = self._asked_hubs, []
        if news:
            self._session.handle(news)
        facts = actions.Facts(0, _NONE_TYPE, "NoneType", time(), time())
        self.tell([actions.FinishKey(key, run_id, NOWHERE, facts) for key, run_id in hubs])

    def _refuse(self, client: str, keys: Collection[Key], error: Exception) -> None:
        """Err keys that can't be planned; an exception would close the client's connection."""
        logger.debug("a graph was refused", exc_info=error)
        message = error_message(error)
        for key in keys:
            self.report(
                {
                    "op": "task-erred",
                    "key": key,
                    "exception": message["exception"],
                    "traceback": message["traceback"],
                },
                client=client,
            )

    def _cancel(self, client: str, keys: Collection[Key], lost: Sequence[Key]) -> None:
        """Cancel keys that need values which nobody has any more, or came before a restart."""
        logger.debug("a graph is cancelled; lost are %s", lost[:10])
        self.report(
            {"op": "cancelled-keys", "keys": keys, "reason": "lost dependencies"}, client=client
        )
        self.client_releases_keys(keys=keys, client=client, stimulus_id=f"knot-lost-{time()}")


class _Releases(SchedulerPlugin):  # type: ignore[misc]
    """Hears of keys that Dask lets go, and of restarts, at the moment when they happen."""

    def __init__(self, scheduler: KnotScheduler) -> None:
        self._scheduler = scheduler

    def transition(self, key: Key, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        """Note a key that is released or forgotten."""
        if finish in ("released", "forgotten"):
            self._scheduler._note_release(key, finish == "forgotten")

    def restart(self, scheduler: Any) -> None:
        """Drop the graphs that are being opened: their clients take them for cancelled."""
        self._scheduler._restarts += 1


_NONE_TYPE = b""
