"""Graphs that clients send: tasks go to the tracker, only the wanted keys to Dask."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from time import time
from typing import Any, Protocol

from dask.typing import Key
from distributed.protocol import to_serialize
from distributed.utils import offload

from dask_knot.cluster.news import News
from dask_knot.cluster.recall import Recall
from dask_knot.collector import paused_collector
from dask_knot.digests import Digester, GraphDigests
from dask_knot.errors import UnsupportedGraphError
from dask_knot.graphs.annotations import Bounds, check_workers, for_dask
from dask_knot.graphs.compaction import compact
from dask_knot.graphs.constants import Constants
from dask_knot.graphs.opening import Digesting, OpenedGraph, SentGraph, open_graph
from dask_knot.planning import Resources
from dask_knot.plural import many
from dask_knot.run.failure import describe
from dask_knot.session.hooks import Hooks
from dask_knot.session.priorcosts import PriorCosts
from dask_knot.tracking import events

logger = logging.getLogger(__name__)

HUB = "knot-inputs"


class GraphTaker(Protocol):
    """A scheduler, as it is needed here: whom graphs come from, and what is there already."""

    clients: Mapping[str, Any]
    tasks: Mapping[Key, Any]

    def worker_names(self) -> set[str]:
        """Name the one worker as users may."""

    def report(self, msg: dict[str, Any], ts: Any = None, client: str | None = None) -> None:
        """Tell a client something."""

    def client_releases_keys(self, keys: Any, client: str, **options: Any) -> None:
        """Let go of keys for a client."""


class GraphRunner(Protocol):
    """A session, as it is needed here: how large jobs are, and where tasks go."""

    size: Resources
    hooks: Hooks
    digester: Digester | None
    prior: PriorCosts | None

    def digest_of(self, key: Key) -> bytes | None:
        """Give the digest of the work that makes a key, or of a scattered value."""

    @property
    def largest(self) -> Resources:
        """The most that a job may ask for."""

    @property
    def is_here(self) -> bool:
        """True if jobs are processes of this machine."""

    def handle(self, happened: Iterable[events.Event]) -> None:
        """Take in what happened."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A graph as a client sends it.

    Attributes
    ----------
    client : str
        Who sends it.
    packed : Serialized
        The graph.
    keys : set of Key
        What the client wants.
    annotations : dict of str to Any
        Those of the whole graph.
    options : dict of str to Any
        What else Dask's `Scheduler.update_graph` is told: actors, priorities.
    """

    client: str
    packed: Any
    keys: set[Key]
    annotations: dict[str, Any]
    options: dict[str, Any]


class Arrivals:
    """Takes graphs, which may need some time to be opened, while others come.

    Parameters
    ----------
    scheduler : GraphTaker
        Dask's, which keeps the wanted keys.
    news : News
        What Dask has done and the tracker doesn't know yet.
    session : GraphRunner
        Runs the tasks.
    recall : Recall
        Asks the run for keys that no graph has brought.
    """

    def __init__(
        self, scheduler: GraphTaker, news: News, session: GraphRunner, recall: Recall
    ) -> None:
        self._scheduler = scheduler
        self._news = news
        self._session = session
        self._recall = recall
        self._constants = Constants()
        self._hub_numbers = count()
        self._restarts = 0
        self._said: set[str] = set()

    def note_restart(self) -> None:
        """Drop the graphs that are being opened: their clients take them for cancelled."""
        self._restarts += 1

    async def take(self, update: Callable[..., Awaitable[None]], arrival: Arrival) -> None:
        """Plan a graph's tasks, and let Dask know of the wanted keys only.

        Parameters
        ----------
        update : callable
            Dask's own `Scheduler.update_graph`.
        arrival : Arrival
            The graph.
        """
        if arrival.client not in self._scheduler.clients:
            return
        self._session.handle([events.ArrivalBegan()])
        try:
            opened = await self._open(arrival)
            if opened is not None:
                await self._pass_on(update, arrival, opened)
        finally:
            self._session.handle([events.ArrivalEnded()])

    async def _open(self, arrival: Arrival) -> OpenedGraph | None:
        """Open a graph; give none if it can't be planned, or nobody wants it any more."""
        restarts = self._restarts
        try:
            refuse_actors(arrival.options.pop("actors", None))
            opened = await opened_graph(
                self._session,
                self._constants,
                SentGraph(arrival.packed, arrival.keys, arrival.annotations),
            )
            check_workers(opened.annotations, arrival.annotations, self._scheduler.worker_names())
        except Exception as error:
            self._refuse(arrival, error)
            return None
        # What it reads may be on its way from an earlier session; so may be what it makes.
        self._recall.hold(opened.graph.external, arrival.client)
        await self._recall.settle(opened.graph.external)
        await self._recall.settle(opened.graph.wanted)
        if arrival.client not in self._scheduler.clients:  # any more: it took a while
            return None
        lost = [key for key in opened.graph.external if key not in self._scheduler.tasks]
        self._say_refusals(opened.work)
        if lost or restarts != self._restarts:
            self._cancel(arrival, lost)
            return None
        return opened

    def _say_refusals(self, work: GraphDigests | None) -> None:
        """Say once of each reason that there are tasks which no later session will know again."""
        for reason, line in zip(work.refusals, refusal_lines(work), strict=True) if work else ():
            if reason not in self._said:
                self._said.add(reason)
                self._session.hooks.notice(line)

    async def _pass_on(
        self, update: Callable[..., Awaitable[None]], arrival: Arrival, opened: OpenedGraph
    ) -> None:
        self._news.flush()
        self._session.handle([events.GraphSubmitted(opened.graph, is_held=True)])
        try:
            coming = self._recall.hand_over(opened.graph.wanted)
            if coming:
                reads = {**opened.reads, **dict.fromkeys(coming, frozenset())}
                opened = replace(opened, reads=reads)
            with paused_collector():  # Dask makes a dozen objects for each key
                small = compact(opened, f"{HUB}-{next(self._hub_numbers)}")
                self._news.add_hubs(small.hubs)
                await update(
                    client=arrival.client,
                    expr_ser=small.packed,
                    keys=arrival.keys,
                    annotations=for_dask(opened.annotations, arrival.annotations),
                    **{**arrival.options, "internal_priority": small.order},
                )
        except Exception as error:
            self._refuse(arrival, error)
        finally:
            taken = {key for key in opened.graph.wanted if key in self._scheduler.tasks}
            self._news.tell_now(events.GraphTaken(opened.graph, taken))

    def _refuse(self, arrival: Arrival, error: Exception) -> None:
        """Err keys that can't be planned; an exception would close the client's connection."""
        logger.debug("a graph was refused", exc_info=error)
        failure = describe(error, "")
        traceback = None if failure.traceback is None else to_serialize(failure.traceback)
        told = {"exception": to_serialize(failure.exception), "traceback": traceback}
        for key in arrival.keys:
            self._scheduler.report({"op": "task-erred", "key": key, **told}, client=arrival.client)

    def _cancel(self, arrival: Arrival, lost: Sequence[Key]) -> None:
        """Cancel keys that need values which nobody has any more, or came before a restart."""
        logger.debug("a graph is cancelled; lost are %s", lost[:10])
        keys, client = arrival.keys, arrival.client
        self._scheduler.report(
            {"op": "cancelled-keys", "keys": keys, "reason": "lost dependencies"}, client=client
        )
        self._scheduler.client_releases_keys(
            keys=keys, client=client, stimulus_id=f"knot-lost-{time()}"
        )


def refusal_lines(work: GraphDigests) -> list[str]:
    """Say which tasks of a graph are run again, whatever the run has, and why."""
    return [
        f"{many('task', refusal.count)} can't be recognized in a later run, such as "
        f"{refusal.key!r}: {reason}"
        for reason, refusal in work.refusals.items()
    ]


async def opened_graph(session: GraphRunner, constants: Constants, sent: SentGraph) -> OpenedGraph:
    """Open what a client sends, beside what is read of costs from the store."""
    bounds = Bounds(session.size, session.largest)
    digester, prior = session.digester, session.prior
    marker = None if prior is None else prior.marker
    digesting = Digesting(digester, session.digest_of, marker)
    known = bounds, constants, session.is_here, digesting
    opening = offload(open_graph, sent.packed, sent.keys, sent.annotations, *known)
    if prior is None:
        opened: OpenedGraph = await opening
    else:
        opened, _ = await asyncio.gather(opening, prior.recall())
    return opened


def refuse_actors(actors: Any) -> None:
    """Refuse a graph with actors.

    Raises
    ------
    UnsupportedGraphError
        If it has any.
    """
    if actors:
        raise UnsupportedGraphError(
            "actors need a worker that stays, but jobs come and go: keep the state in the "
            "values that tasks return, or use a LocalCluster"
        )
