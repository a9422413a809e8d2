"""Starts jobs as containers of the job image on this machine, through the Docker engine."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from dask_knot.batch.rules import NOT_STARTED, OUT_OF_MEMORY
from dask_knot.errors import EngineError
from dask_knot.extras import extra
from dask_knot.local.amenities import Amenities
from dask_knot.local.guard import LABEL as GUARD
from dask_knot.local.guard import Guard
from dask_knot.local.launcher import ChildProcess, Exit, Listener
from dask_knot.local.ownership import limits, owner_options

with extra():
    import docker
    from docker.errors import APIError, DockerException, ImageNotFound, NotFound

logger = logging.getLogger(__name__)

#: Containers say what they are: `docker ps --filter label=dask-knot` finds them.
LABEL = "dask-knot"
#: What an engine lacks that says so in words of its own.
CURES = {"container-init binary not found": "install Podman's init, the package catatonit"}


class DockerLauncher:
    """A container and a thread for each child.

    Containers use the network of this machine, and run as the user of this process, so that what
    they write into a store that is a folder belongs to him.

    Parameters
    ----------
    client : docker.DockerClient
        The Docker engine.
    image : str
        The image of the jobs.
    more : Amenities
        What containers have besides: what they may read and write, under the same path, is the
        store.
    environment : mapping of str to str
        Variables of every container, beside the job's own.
    guard : Guard, optional
        Ends the containers if this process is killed; it is dismissed with `close`.
    grace : float
        So many seconds containers may take to end by themselves at `close`.
    """

    def __init__(
        self,
        client: Any,
        image: str,
        more: Amenities | None = None,
        environment: Mapping[str, str] | None = None,
        guard: Guard | None = None,
        grace: float = 0.0,
    ) -> None:
        self._client = client
        self._image = image
        self._more = more or Amenities()
        self._environment = {"HOME": "/tmp", **(environment or {})}
        self._guard = guard
        self._grace = grace
        self._listener: Listener | None = None
        self._children: dict[str, _Container] = {}
        self._lock = threading.Lock()
        self._is_closed = False

    def bind(self, listener: Listener) -> None:
        """Name the listener; called once, before the first start."""
        self._listener = listener

    def start(self, child: ChildProcess) -> None:
        """Start a container and return without waiting for it."""
        with self._lock:
            if self._is_closed:
                raise EngineError("the engine is closed")
            record = self._children[child.child_id] = _Container()
        thread = threading.Thread(
            target=self._run, args=(child, record), name=f"knot-{child.child_id}", daemon=True
        )
        record.thread = thread
        thread.start()

    def signal(self, child_id: str, number: int) -> None:
        """Send a signal to a container; one that isn't made yet never starts."""
        with self._lock:
            record = self._children.get(child_id)
        if record is not None:
            record.signal(number)

    def close(self) -> None:
        """End what still runs, wait until the containers are gone, and let go of the engine."""
        with self._lock:
            self._is_closed = True
            records = list(self._children.values())
        if self._grace > 0:
            self._end(records, signal.SIGTERM, self._grace)
        self._end(records, signal.SIGKILL)
        if self._guard is not None:
            self._guard.dismiss()
        self._client.close()

    @staticmethod
    def _end(records: Sequence[_Container], number: int, seconds: float | None = None) -> None:
        """Send a signal to containers, and wait for the end of all, but not for ever if told so."""
        for record in records:
            record.signal(number)
        deadline = None if seconds is None else time.monotonic() + seconds
        for record in records:
            if record.thread is not None:
                left = None if deadline is None else max(deadline - time.monotonic(), 0)
                record.thread.join(left)

    def _run(self, child: ChildProcess, record: _Container) -> None:
        """Do all that happens to a container, and report its end whatever happens."""
        assert self._listener is not None
        try:
            end = self._make_and_wait(child, record)
        except (DockerException, OSError) as error:  # OSError: the connection broke
            end = Exit(None, f"DockerTimeoutError: {words_of(error)}", "Host EC2 (docker) lost")
        except Exception as error:  # its end must be reported: nobody else knows of it
            logger.exception("a container was lost")
            end = Exit(None, f"CannotInspectContainerError: {error!r}", NOT_STARTED)
        finally:
            with self._lock:
                self._children.pop(child.child_id, None)
        self._listener.child_exited(child.child_id, end)

    def _make_and_wait(self, child: ChildProcess, record: _Container) -> Exit:
        options = self._options(child)
        try:
            container = self._client.containers.create(self._image, **options)
        except ImageNotFound as error:
            return Exit(None, f"CannotPullContainerError: {words_of(error)}", NOT_STARTED)
        except APIError as error:
            return Exit(None, f"CannotCreateContainerError: {words_of(error)}", NOT_STARTED)
        try:
            return self._start_and_wait(container, child, record)
        finally:
            with contextlib.suppress(NotFound):
                container.remove(force=True, v=True)  # with volumes that have no name

    def _start_and_wait(self, container: Any, child: ChildProcess, record: _Container) -> Exit:
        assert self._listener is not None
        try:
            if (number := record.begin(container)) is not None:
                return Exit(128 + number)
        except APIError as error:
            return Exit(None, f"CannotStartContainerError: {words_of(error)}", NOT_STARTED)
        self._listener.child_started(child.child_id)
        with child.log_path.open("ab") as log:
            for piece in container.logs(stream=True, follow=True):
                log.write(piece)
                log.flush()
        code = int(container.wait(timeout=None)["StatusCode"])
        container.reload()
        return Exit(code, OUT_OF_MEMORY if container.attrs["State"].get("OOMKilled") else None)

    @cached_property
    def _info(self) -> Mapping[str, Any]:
        """What the engine says of itself: it doesn't change while it runs."""
        found: Mapping[str, Any] = self._client.info()
        return found

    def _options(self, child: ChildProcess) -> dict[str, Any]:
        more = self._more
        guarded = {} if self._guard is None else {GUARD: self._guard.name}
        gpus = [
            docker.types.DeviceRequest(
                device_ids=[str(number) for number in child.gpus], capabilities=[["gpu"]]
            )
        ]
        return {
            "command": list(child.command),
            "environment": {**self._environment, **child.environment},
            "init": True,
            "labels": {LABEL: child.child_id, **guarded},
            "network_mode": "host",
            "mounts": list(more.mounts),
            **owner_options(self._info, os.getuid(), os.getgid()),
            **limits(self._info, child.memory, more.swap),
            "device_requests": gpus if child.gpus else None,
            **more.options,
        }


class _Container:
    """The container of a child, if it is there already, and the signal that came before it was."""

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self._container: Any = None
        self._early: int | None = None
        self._lock = threading.Lock()  # a signal must not fall between the look and the start

    def begin(self, container: Any) -> int | None:
        """Start the container; if a signal came first, give its number instead."""
        with self._lock:
            if self._early is None:
                container.start()
                self._container = container
            return self._early

    def signal(self, number: int) -> None:
        """Send a signal, or keep it for `begin`."""
        with self._lock:
            if self._container is None:
                self._early = number
                return
        # One that has ended since is no longer there, or doesn't run.
        with contextlib.suppress(APIError):
            self._container.kill(signal=number)


def words_of(error: Exception) -> str:
    """Say what the Docker engine said, without the request that it answered."""
    said = str(getattr(error, "explanation", None) or error)
    cure = next((cure for words, cure in CURES.items() if words in said), "")
    return f"{said}: {cure}" if cure else said
