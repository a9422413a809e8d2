"""Plugins of workers and nannies: they go to the jobs, if jobs can honour them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn, Protocol

from distributed import Environ, NannyPlugin, WorkerPlugin
from distributed.diagnostics.plugin import (
    ForwardLoggingPlugin,
    ForwardOutput,
    SchedulerPlugin,
    SchedulerUploadFile,
)
from distributed.protocol import pickle
from distributed.shuffle import ShuffleWorkerPlugin

from dask_knot.errors import LiveWorkerError

Answers = dict[str, dict[str, Any]]


class PluginKeeper(Protocol):
    """A scheduler, as it is needed here: what was registered, as Dask keeps it."""

    worker_plugins: dict[str, bytes]
    nanny_plugins: dict[str, bytes]
    workers: Mapping[str, Any]


class PluginRegistry:
    """Lets plugins of workers and nannies set up jobs: the gateway runs no task, and no plugin.

    Parameters
    ----------
    scheduler : PluginKeeper
        Has the plugins that were registered.
    pass_on : callable
        Takes the plugins by their names to the jobs that are submitted from now on.
    """

    def __init__(
        self, scheduler: PluginKeeper, pass_on: Callable[[Mapping[str, bytes]], None]
    ) -> None:
        self._scheduler = scheduler
        self._set = pass_on
        self._shuffle_plugin: bytes | None = None
        self._refused_files: set[str] = set()  # their names are unique

    async def add_to_scheduler(
        self, register: Callable[..., Awaitable[None]], plugin: Any, name: str | None
    ) -> None:
        """Add a plugin to Dask's scheduler.

        `Client.upload_file` registers one here, and one for workers of the same name beside it. A
        file that can't be imported here can't be in jobs either: they would fail, all of them.
        """
        loaded = plugin if isinstance(plugin, SchedulerPlugin) else pickle.loads(plugin)
        try:
            await register(loaded, name)
        except Exception:
            if isinstance(loaded, SchedulerUploadFile) and name is not None:
                self._refused_files.add(name)
                if name in self._scheduler.worker_plugins:
                    self.remove_from_workers(name)
            raise

    def add_to_workers(self, plugin: bytes, name: str, idempotent: bool) -> Answers:
        """Let a plugin set up the jobs that are submitted from now on.

        Raises
        ------
        LiveWorkerError
            If jobs can't do what it is for.
        """
        if name in self._refused_files:
            return {}
        if isinstance(check(name, plugin), ShuffleWorkerPlugin):
            self._shuffle_plugin = plugin  # Dask registers it itself; jobs shuffle by tasks
        return self._add(self._scheduler.worker_plugins, plugin, name, idempotent)

    def remove_from_workers(self, name: str) -> Answers:
        """Let jobs that are submitted from now on do without a plugin.

        Raises
        ------
        ValueError
            If there is no such plugin.
        """
        return self._remove(self._scheduler.worker_plugins, name)

    def add_to_nannies(self, plugin: bytes, name: str, idempotent: bool) -> Answers:
        """Take one of Dask's own nanny plugins, which jobs can honour.

        Raises
        ------
        LiveWorkerError
            If it is none of those.
        """
        check(name, plugin)
        return self._add(self._scheduler.nanny_plugins, plugin, name, idempotent)

    def remove_from_nannies(self, name: str) -> Answers:
        """Let jobs that are submitted from now on do without a plugin for nannies.

        Raises
        ------
        ValueError
            If there is no such plugin.
        """
        return self._remove(self._scheduler.nanny_plugins, name)

    def _add(
        self, registered: dict[str, bytes], plugin: bytes, name: str, idempotent: bool
    ) -> Answers:
        if idempotent and name in registered:
            return {}
        registered.pop(name, None)  # the newest one sets up last
        registered[name] = plugin
        return self._pass_on()

    def _remove(self, registered: dict[str, bytes], name: str) -> Answers:
        if name not in registered:
            raise ValueError(f"The plugin {name} does not exist")
        del registered[name]
        return self._pass_on()

    def _pass_on(self) -> Answers:
        # A nanny's plugins go first: they make the environment of the worker's.
        plugins = {**self._scheduler.nanny_plugins, **self._scheduler.worker_plugins}
        self._set({n: p for n, p in plugins.items() if p is not self._shuffle_plugin})
        return {address: {"status": "OK"} for address in self._scheduler.workers}


def check(name: str, data: bytes) -> Any:
    """Unpickle a plugin, and look whether jobs can do what it is for.

    Raises
    ------
    LiveWorkerError
        If they can't.
    """
    plugin = pickle.loads(data)
    kind = type(plugin)
    if isinstance(plugin, ForwardLoggingPlugin | ForwardOutput):
        _refuse(
            name,
            "sends what workers print and log to the client, but jobs are never connected to it",
            "cluster.logs(future) shows what a job printed",
        )
    if isinstance(plugin, WorkerPlugin) and kind.transition is not WorkerPlugin.transition:
        _refuse(
            name,
            "follows the transitions of a worker's tasks, but jobs have no such states",
            "A SchedulerPlugin sees those of the keys that you asked for",
        )
    is_dasks_own = isinstance(plugin, Environ) or kind.__module__ == Environ.__module__
    if isinstance(plugin, NannyPlugin) and not is_dasks_own:
        _refuse(
            name,
            "is for nannies, but there are none: jobs come and go",
            "A WorkerPlugin sets up each job before its tasks are unpickled",
        )
    return plugin


def _refuse(name: str, why: str, instead: str) -> NoReturn:
    raise LiveWorkerError(f"plugin {name!r} {why}. {instead}")
