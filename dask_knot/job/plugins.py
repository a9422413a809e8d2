"""Worker plugins inside a job: one object holds them all, read before any task is unpickled."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import importlib
import inspect
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from distributed.diagnostics.plugin import NannyPlugin, UploadFile
from distributed.protocol import pickle

from dask_knot.errors import PluginError
from dask_knot.internals import install_of
from dask_knot.run.plugins import Plugin
from dask_knot.task.worker import JobWorker


class JobNanny(NamedTuple):
    """The part of a nanny that Dask's own nanny plugins use: a job's environment and folder."""

    env: Mapping[str, str]
    local_directory: str


def set_up(worker: JobWorker, plugins: Sequence[Plugin]) -> None:
    """Let plugins set up this process, in the order in which they were registered.

    Raises
    ------
    PluginError
        If one of them raises.
    """
    last = {file: name for name, data in plugins if (file := _uploaded(data)) is not None}
    for name, data in plugins:
        # Not before its turn: it may need what those before it upload or install.
        plugin = _attempt(name, pickle.loads, data)
        if isinstance(plugin, UploadFile) and last[plugin.filename] != name:
            continue  # the file was uploaded again
        _attempt(name, _set_up, worker, name, plugin)
        worker.plugins[name] = plugin


def tear_down(worker: JobWorker) -> None:
    """Let plugins tear down, the last one first; what they raise is in the log of the job."""
    for plugin in reversed(worker.plugins.values()):
        try:
            if not isinstance(plugin, NannyPlugin):
                _finish(plugin.teardown(worker=worker))
        except (
            Exception,
            SystemExit,
        ) as error:  # the tasks have run: their values are as good as before
            traceback.print_exception(error)
    worker.plugins.clear()


def _uploaded(data: bytes) -> str | None:
    """Name the file that a plugin uploads, if it does so."""
    if UploadFile.__name__.encode() not in data:
        return None
    try:
        plugin = pickle.loads(data)
    except Exception:  # no upload: what it needs is not there yet
        return None
    return plugin.filename if isinstance(plugin, UploadFile) else None


def _set_up(worker: JobWorker, name: str, plugin: Any) -> None:
    if install := install_of(plugin):  # its setup would ask Dask for a semaphore
        install_once(name, install)
    elif isinstance(plugin, NannyPlugin):
        _finish(plugin.setup(nanny=JobNanny(os.environ, worker.local_directory)))
    else:
        _finish(plugin.setup(worker=worker))


def _attempt(name: str, call: Any, *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        raise PluginError(
            f"plugin {name!r} could not set up this job: {type(error).__name__}: {error}"
        ) from error


def _finish(result: Any) -> None:
    """Wait for a setup or teardown that is a coroutine."""
    if inspect.isawaitable(result):
        asyncio.run(_awaited(result))


async def _awaited(result: Any) -> None:
    await result


def install_once(name: str, install: Callable[[], None], folder: Path | None = None) -> bool:
    """Call `install`, unless a job before has done so in this environment.

    Jobs that share an environment, as those of the local engine do, wait for each other here. In a
    container each job is the first.

    Parameters
    ----------
    name : str
        Name of the plugin: Dask gives each installation its own.
    install : callable
        Installs; what it raises is raised, and the next job tries again.
    folder : Path, optional
        Where the list of what is done is kept; the folder for temporary files.

    Returns
    -------
    bool
        Whether it was called.
    """
    path = (folder or Path(tempfile.gettempdir())) / f"dask-knot-installed-{os.getuid()}"
    done = hashlib.sha256(f"{sys.prefix}\n{name}".encode()).hexdigest()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # closing the file lets it go
        is_new = done not in file.read().splitlines()
        if is_new:
            install()
            file.write(f"{done}\n")
    importlib.invalidate_caches()
    return is_new
