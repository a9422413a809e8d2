"""PluginScheduler: plugins of workers and nannies go to the jobs, if jobs can honour them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NoReturn

from distributed import Environ, NannyPlugin, Scheduler, WorkerPlugin
from distributed.diagnostics.plugin import (
    ForwardLoggingPlugin,
    ForwardOutput,
    SchedulerPlugin,
    SchedulerUploadFile,
)
from distributed.protocol import pickle
from distributed.shuffle import ShuffleWorkerPlugin

from dask_knot.errors import LiveWorkerError
from dask_knot.session.plugins import JobPlugins

Answers = dict[str, dict[str, Any]]


class PluginScheduler(Scheduler):  # type: ignore[misc]
    """Dask's scheduler, whose worker plugins set up jobs: the gateway runs no task, and no plugin.

    Attributes
    ----------
    job_plugins : JobPlugins
        Takes the plugins to the jobs.
    """

    job_plugins: JobPlugins
    _shuffle_plugin: bytes | None = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._refused_files: set[str] = set()  # their names are unique

    async def register_scheduler_plugin(
        self, plugin: Any, name: str | None = None, *, idempotent: bool
    ) -> None:
        """Add a plugin to Dask's scheduler.

        `Client.upload_file` registers one here, and one for workers of the same name beside it. A
        file that can't be imported here can't be in jobs either: they would fail, all of them.
        """
        loaded = plugin if isinstance(plugin, SchedulerPlugin) else pickle.loads(plugin)
        try:
            await super().register_scheduler_plugin(loaded, name, idempotent=idempotent)
        except Exception:
            if isinstance(loaded, SchedulerUploadFile) and name is not None:
                self._refused_files.add(name)
                if name in self.worker_plugins:
                    self._unregister(self.worker_plugins, name)
            raise

    async def register_worker_plugin(
        self, comm: Any, plugin: bytes, name: str, *, idempotent: bool
    ) -> Answers:
        """Let a plugin set up the jobs that are submitted from now on."""
        if name in self._refused_files:
            return {}
        if isinstance(check(name, plugin), ShuffleWorkerPlugin):
            self._shuffle_plugin = plugin  # Dask registers it itself; jobs shuffle by tasks
        return self._register(self.worker_plugins, plugin, name, idempotent)

    async def unregister_worker_plugin(self, comm: Any, name: str) -> Answers:
        """Let jobs that are submitted from now on do without a plugin."""
        return self._unregister(self.worker_plugins, name)

    async def register_nanny_plugin(
        self, comm: Any, plugin: bytes, name: str, idempotent: bool
    ) -> Answers:
        """Take one of Dask's own nanny plugins, which jobs can honour."""
        check(name, plugin)
        return self._register(self.nanny_plugins, plugin, name, idempotent)

    async def unregister_nanny_plugin(self, comm: Any, name: str) -> Answers:
        """Let jobs that are submitted from now on do without a plugin."""
        return self._unregister(self.nanny_plugins, name)

    async def broadcast(
        self,
        *,
        msg: dict[str, Any],
        workers: Collection[str] | None = None,
        nanny: bool = False,
        serializers: Collection[str] | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Send a message to the gateway; there is no nanny to send one to."""
        if nanny:
            raise LiveWorkerError(
                f"{msg.get('op')!r} is meant for nannies, and there are none: jobs come and go. "
                "Leave out nanny=True, or use a LocalCluster"
            )
        # By its name: Dask passes it to those only who have one of that name.
        answers: dict[str, Any] = await super().broadcast(
            msg=msg, workers=workers, serializers=serializers, **options
        )
        return answers

    def _register(
        self, registered: dict[str, bytes], plugin: bytes, name: str, idempotent: bool
    ) -> Answers:
        if idempotent and name in registered:
            return {}
        registered.pop(name, None)  # the newest one sets up last
        registered[name] = plugin
        return self._pass_on()

    def _unregister(self, registered: dict[str, bytes], name: str) -> Answers:
        if name not in registered:
            raise ValueError(f"The plugin {name} does not exist")
        del registered[name]
        return self._pass_on()

    def _pass_on(self) -> Answers:
        # A nanny's plugins go first: they make the environment of the worker's.
        plugins = {**self.nanny_plugins, **self.worker_plugins}
        self.job_plugins.set({n: p for n, p in plugins.items() if p is not self._shuffle_plugin})
        return {address: {"status": "OK"} for address in self.workers}


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
            "sends what workers print and log to the client, and jobs are never connected to it",
            "cluster.logs(future) shows what a job printed",
        )
    if isinstance(plugin, WorkerPlugin) and kind.transition is not WorkerPlugin.transition:
        _refuse(
            name,
            "follows the transitions of a worker's tasks, and jobs have no such states",
            "A SchedulerPlugin sees those of the keys that you asked for",
        )
    is_dasks_own = isinstance(plugin, Environ) or kind.__module__ == Environ.__module__
    if isinstance(plugin, NannyPlugin) and not is_dasks_own:
        _refuse(
            name,
            "is for nannies, and there are none: jobs come and go",
            "A WorkerPlugin sets up each job before its tasks are unpickled",
        )
    return plugin


def _refuse(name: str, why: str, instead: str) -> NoReturn:
    raise LiveWorkerError(f"plugin {name!r} {why}. {instead}")
