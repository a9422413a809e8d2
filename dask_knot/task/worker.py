"""JobWorker: what `get_worker()` gives inside a job, and what worker plugins set up there."""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Collection
from typing import Any, NoReturn

import dask
from dask.typing import Key
from distributed import Client
from distributed.core import Server

from dask_knot.errors import PluginError
from dask_knot.internals import present_task
from dask_knot.task.refusals import asked_feature, refusal

#: Events that Dask's own `print` and `warn` log in addition to printing, which is in the job's log.
PRINTED = ("print", "warn")


class Absence:
    """Stands where a worker has its client or scheduler; whoever uses it is told so."""

    #: A client that a task opens itself compares its scheduler with the worker's.
    address = ""

    def __init__(self, what: str) -> None:
        self._what = what

    def __getattr__(self, name: str) -> NoReturn:
        raise refusal(asked_feature(f"get_worker().{self._what}"))


class JobWorker:
    """The worker that a job can honestly be: a name, a folder, plugins and their attributes.

    Everything else of `distributed.Worker` raises LiveWorkerError.

    Parameters
    ----------
    name : str
        Name of the shard that the job runs.

    Attributes
    ----------
    plugins : dict of str to WorkerPlugin
        The plugins that set this process up.
    fault : PluginError, optional
        Why this process could not be set up.
    data : dict
        Nothing: a job holds no values for others.
    """

    # As distributed.Worker does it: it needs the folder only.
    upload_file = Server.upload_file

    def __init__(self, name: str) -> None:
        self.name = self.id = name
        self.plugins: dict[str, Any] = {}
        self.fault: PluginError | None = None
        self.data: dict[Key, Any] = {}
        self.client = Absence("client")
        self.scheduler = Absence("scheduler")
        self.loop = SecedeLoop(self)
        self._lock = threading.Lock()
        self._folder: str | None = None

    @property
    def local_directory(self) -> str:
        """A folder on ``sys.path``, removed at the end of the job; made when first asked for."""
        with self._lock:
            if self._folder is None:
                parent = dask.config.get("temporary-directory", None)
                self._folder = tempfile.mkdtemp(prefix="dask-knot-job-", dir=parent)
                sys.path.insert(0, self._folder)
            return self._folder

    def get_current_task(self) -> Key:
        """Give the key of the task that calls this."""
        return present_task()

    def log_event(self, topic: str | Collection[str], msg: Any) -> None:
        """Take what `distributed.print` and `distributed.warn` log; they print it here as well."""
        if topic not in PRINTED:
            raise refusal("get_worker().log_event")

    def handle_stimulus(self, *events: Any) -> None:
        """Take note of a task that secedes: it keeps its place, since nobody waits for it."""

    def close(self) -> None:
        """Remove the folder."""
        if self._folder is not None:
            if self._folder in sys.path:
                sys.path.remove(self._folder)
            shutil.rmtree(self._folder, ignore_errors=True)

    def _get_client(self, timeout: float | None = None) -> Any:
        """Give the client that a task has opened itself; `get_client` calls this."""
        try:
            return Client.current()
        except ValueError:
            raise refusal(asked_feature("get_client")) from None

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # what Python's own protocols ask for
            raise AttributeError(name)
        raise refusal(asked_feature(f"get_worker().{name}"))

    def __repr__(self) -> str:
        return f"<JobWorker {self.name!r}>"


class SecedeLoop:
    """The loop of a job's worker as far as `secede` needs one; a job has none besides."""

    def __init__(self, worker: JobWorker) -> None:
        self._worker = worker

    def add_callback(self, callback: Callable[..., Any], *arguments: Any) -> None:
        """Call what `secede` asks for."""
        if callback != self._worker.handle_stimulus:
            raise refusal(asked_feature("get_worker().loop"))
        callback(*arguments)

    def __getattr__(self, name: str) -> NoReturn:
        raise refusal(asked_feature("get_worker().loop"))
