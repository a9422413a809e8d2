"""KnotScheduler: a graph comes in, wanted keys go to Dask, tasks go to the tracker.

Dask's scheduler keeps what clients asked for. Its one worker, the gateway, never computes: a
``compute-task`` message to it becomes a question to the tracker, without a way over the network.
What is done differently from Dask stands in the scheduler's collaborators; the methods here say
which one answers for Dask's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import nullcontext, suppress
from functools import partial
from inspect import unwrap
from typing import Any, NoReturn

from dask.typing import Key
from distributed import Scheduler
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.utils import log_errors

from dask_knot.cluster.arrivals import Arrival, Arrivals
from dask_knot.cluster.departures import Departures, ignore_who_left, wanted_readers
from dask_knot.cluster.discovery import LEAVING
from dask_knot.cluster.idleness import Idleness, steal_nothing
from dask_knot.cluster.news import News
from dask_knot.cluster.outcomes import Outcomes
from dask_knot.cluster.outlet import Outlet
from dask_knot.cluster.plugins import Answers, PluginRegistry
from dask_knot.cluster.published import PublishedDatasets
from dask_knot.cluster.recall import Recall
from dask_knot.cluster.replay import Replay
from dask_knot.cluster.scattering import Scattering
from dask_knot.cluster.values import Values
from dask_knot.cluster.workers import JobWorkers, as_jobs, refuse_retirement
from dask_knot.dashboard.views import add_views
from dask_knot.internals import number_run
from dask_knot.session.session import Session

#: For so many seconds whoever publishes waits until it is submitted.
LONGEST_SETTLING = 10.0


class KnotScheduler(Scheduler):  # type: ignore[misc]
    """Dask's scheduler, which plans before it schedules.

    Parameters
    ----------
    session : Session
        Runs the tasks.
    **options
        As for `distributed.Scheduler`.

    Attributes
    ----------
    values, scattering, outlet : Values, Scattering, Outlet
        What clients gather, and what they scatter; lets clients read values themselves.
    is_shut_down : bool
        Whether a client has ended all of it, with `Client.shutdown`.
    """

    def __init__(self, session: Session, **options: Any) -> None:
        super().__init__(**options)
        self._idleness = Idleness(self, super().check_idle_saturated, self.loop.add_callback)
        self._session = session
        self._workers = JobWorkers(self)
        self._plugins = PluginRegistry(self, session.plugins.set)
        self._outcomes = Outcomes(self)
        run, later = session.settings.run, self.loop.add_callback
        self._recall = Recall(self, session, run, later, self._outcomes.tell)
        self._news = News(session.handle, self._outcomes, later, self._recall)
        self._departures = Departures(self, self._news.leaving if run else nullcontext)
        self._arrivals = Arrivals(self, self._news, session, self._recall)
        self.values = Values(self, session)
        self.scattering = Scattering(self, self._news, session)
        self.outlet = Outlet(self, self.values, session)
        self.is_shut_down = False
        self.handlers["terminate"] = self.shut_down
        self.add_plugin(Releases(self._news, self._arrivals), name="knot-releases")
        self.extensions["replay-tasks"] = Replay(self, session)
        steal_nothing(self)
        if run is not None:
            PublishedDatasets(self, session.run.record, self.settle)
        add_views(self, session)

    async def start_unsafe(self) -> KnotScheduler:
        """Start the scheduler, and the session with it."""
        ignore_who_left(asyncio.get_running_loop())  # clients of this process wait in it, too
        await super().start_unsafe()
        self._session.hooks.outcomes = self._outcomes.tell
        self._session.start()
        return self

    def leave(self) -> None:
        """Take nothing more from anybody, and tell nobody anything."""
        self._news.close()
        self._departures.leave()

    async def flush(self) -> None:
        """Let all be planned and submitted that Dask has asked for, before all is left."""
        self._news.flush()
        await self._session.flush(is_leaving=True)

    async def settle(self) -> None:
        """Let all be planned and submitted that Dask has asked for, unless that takes long."""
        self._news.flush()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._session.flush(), LONGEST_SETTLING)

    async def shut_down(self, reason: str = "shutdown", **options: Any) -> None:
        """Close because another process says so: a client that shuts down, or who just leaves."""
        self.is_shut_down = reason != LEAVING
        await self.close(reason=reason, **options)

    async def close(self, *arguments: Any, **options: Any) -> None:
        """Close, whoever asks for it: the cluster, or a client that shuts everything down."""
        self.leave()
        await super().close(*arguments, **options)

    # Graphs and keys.

    async def update_graph(
        self,
        client: str,
        expr_ser: Any,
        keys: set[Key],
        annotations: Mapping[str, Any] | None = None,
        **rest: Any,
    ) -> None:
        """Take a graph from a client: plan its tasks, and let Dask know of the wanted keys only."""
        arrival = Arrival(client, expr_ser, keys, dict(annotations or {}), rest)
        await self._arrivals.take(super().update_graph, arrival)

    def send_all(self, client_msgs: dict[str, Any], worker_msgs: dict[str, Any]) -> None:
        """Send messages; those that would start a task at the gateway go to the tracker."""
        super().send_all(self.outlet.joined(client_msgs), self._news.without_questions(worker_msgs))

    def stimulus_cancel(self, keys: Collection[Key], client: str, **options: Any) -> None:
        """Cancel keys; in the place of those that nobody wants, what reads them."""
        super().stimulus_cancel(wanted_readers(self.tasks, keys), client, **options)

    def check_idle_saturated(self, ws: Any, occ: float = -1.0) -> None:
        """See before long whether the one worker is idle."""
        self._idleness.ask(ws)

    def _task_to_msg(self, ts: Any) -> dict[str, Any]:
        """Ask for a key: the tracker has its task, its inputs, and what was said of it."""
        return {"op": "compute-task", "key": ts.key, "run_id": number_run(ts)}

    # Values.

    async def gather(
        self, keys: Collection[Key], serializers: list[str] | None = None
    ) -> dict[str, Any]:
        """Give a client values: their bytes are read here and decoded there."""
        values, lost = await self.values.read(keys, serializers)
        if lost:
            return {"status": "error", "keys": lost}
        self.log_event("all", {"action": "gather", "count": len(keys)})
        return {"status": "OK", "data": values}

    async def scatter(self, *arguments: Any, **options: Any) -> Any:
        """Put values into the store; raises what kept them from that."""
        return await self.scattering.scatter(super().scatter, arguments, options)

    def update_data(self, **options: Any) -> None:
        """Learn of values that were scattered, unless all are let go of."""
        self._departures.update_data(super().update_data, options)

    # Clients.

    def report(self, msg: Any, ts: Any = None, client: str | None = None) -> None:
        """Tell clients something: those that listen."""
        self._departures.report(super().report, msg, ts, client)

    def client_desires_keys(self, keys: Any, client: str) -> None:
        """Hold keys for somebody, unless all are let go of."""
        self.outlet.introduce(client)
        desire = partial(self._recall.desire, super().client_desires_keys)
        self._departures.desire_keys(desire, keys, client)

    def remove_client(self, client: str, stimulus_id: str | None = None) -> None:
        """Let go of a client; in a named run what is made for it is made for later."""
        self.outlet.forget(client)
        self._departures.remove(super().remove_client, client, stimulus_id)

    def client_releases_keys(self, keys: Any, client: str, **options: Any) -> None:
        """Release keys of a client that is still known."""
        self._departures.release_keys(super().client_releases_keys, keys, client, options)

    def client_heartbeat(self, client: str) -> None:
        """Note that a client lives, if it is still known."""
        self._departures.heartbeat(super().client_heartbeat, client)

    @log_errors  # type: ignore[untyped-decorator]
    async def feed(self, comm: Any, **options: Any) -> None:
        """Feed a progress bar until one of the two ends, which is no error."""
        # Dask's own without its decorator, which logs that end.
        await self._departures.feed(partial(unwrap(Scheduler.feed), self), comm, options)

    # Workers.

    @property
    def gateway_address(self) -> str:
        """The address of the one worker."""
        return self._workers.address

    def worker_names(self) -> set[str]:
        """Name the one worker as users may: its name, its address, its host."""
        return self._workers.names()

    def identity(self, n_workers: int = -1) -> dict[str, Any]:
        """Say what there is: the jobs that may run at once are shown as workers."""
        session = self._session
        return as_jobs(super().identity(), session.size, session.slots, n_workers)

    async def restart_workers(
        self, workers: list[str] | None = None, timeout: float = 30, **options: Any
    ) -> dict[str, str]:
        """Tell that all is new: jobs were ended with their keys, and the gateway keeps no state."""
        return await self._workers.restart(workers, timeout)

    async def retire_workers(self, *workers: Any, **options: Any) -> NoReturn:
        """Refuse: without the gateway nothing would run any more."""
        refuse_retirement()

    async def broadcast(
        self,
        *,
        msg: dict[str, Any],
        workers: Collection[str] | None = None,
        nanny: bool = False,
        serializers: Collection[str] | None = None,
        **options: Any,
    ) -> Any:
        """Send a message to the gateway; there is no nanny to send one to."""
        # Named here: Dask passes serializers to those only who have an argument of that name.
        message = {"msg": msg, "workers": workers, "serializers": serializers, **options}
        return await self._workers.broadcast(super().broadcast, nanny, message)

    # Plugins.

    async def register_scheduler_plugin(
        self, plugin: Any, name: str | None = None, *, idempotent: bool
    ) -> None:
        """Add a plugin to Dask's scheduler."""
        register = partial(super().register_scheduler_plugin, idempotent=idempotent)
        await self._plugins.add_to_scheduler(register, plugin, name)

    async def register_worker_plugin(
        self, comm: Any, plugin: bytes, name: str, *, idempotent: bool
    ) -> Answers:
        """Let a plugin set up the jobs that are submitted from now on."""
        return self._plugins.add_to_workers(plugin, name, idempotent)

    async def unregister_worker_plugin(self, comm: Any, name: str) -> Answers:
        """Let jobs that are submitted from now on do without a plugin."""
        return self._plugins.remove_from_workers(name)

    async def register_nanny_plugin(
        self, comm: Any, plugin: bytes, name: str, idempotent: bool
    ) -> Answers:
        """Take one of Dask's own nanny plugins, which jobs can honour."""
        return self._plugins.add_to_nannies(plugin, name, idempotent)

    async def unregister_nanny_plugin(self, comm: Any, name: str) -> Answers:
        """Let jobs that are submitted from now on do without a plugin."""
        return self._plugins.remove_from_nannies(name)


class Releases(SchedulerPlugin):  # type: ignore[misc]
    """Hears of keys that Dask lets go, and of restarts, at the moment when they happen."""

    def __init__(self, news: News, arrivals: Arrivals) -> None:
        self._news = news
        self._arrivals = arrivals

    def transition(self, key: Key, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        """Note a key that is released or forgotten."""
        if finish in ("released", "forgotten"):
            self._news.release(key, finish == "forgotten")

    def restart(self, scheduler: Any) -> None:
        """Drop the graphs that are being opened."""
        self._arrivals.note_restart()
