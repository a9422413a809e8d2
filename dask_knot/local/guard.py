"""The guard of a client's containers: a process that ends them when the client was killed.

Containers belong to the Docker engine, which knows nothing of the client that asked for them, and
a client that is killed can tell it nothing any more.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from dask_knot.errors import EngineError
from dask_knot.local.forkclient import boot_command, far_environment

MODULE = "dask_knot.local.guard"
#: The label with which containers name their guard.
LABEL = "dask-knot.guard"
#: What a client that ends by itself says: none of its containers is left.
ALL_WELL = b"."
#: Seconds between two looks at who our parent is: a process that the client has forked may hold a
#: copy of its end of the pipe.
_PARENT_CHECK = 1.0
#: What a client asked for just before its end may come later: so many looks, some seconds apart.
_LOOKS, _PAUSE = 3, 1.0
#: Seconds between two looks at which containers still run.
_LOOK_AGAIN = 0.1
_END_TIMEOUT = 5.0


class Guard:
    """The client's end: the guard lives until it is dismissed, or the client has ended.

    Parameters
    ----------
    grace : float
        So many seconds containers may take to end by themselves when the client has.

    Attributes
    ----------
    name : str
        What containers have as their label, to be guarded.
    """

    def __init__(self, grace: float = 0.0) -> None:
        self.name = uuid.uuid4().hex
        self._process = subprocess.Popen(
            boot_command(MODULE, f"{self.name}/{grace}"),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=far_environment(os.environ),
            # Not in the group that Ctrl-C in a terminal reaches.
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """Let it end: no container is left. It may be called twice."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it has ended, or was dismissed before
            self._process.stdin.write(ALL_WELL)
            self._process.stdin.close()
        try:
            self._process.wait(_END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def watch(name: str, grace: float) -> None:
    """Wait for the end of the client, which is our parent, and end what it has left."""
    parent, ended = os.getppid(), threading.Event()
    said: list[bytes] = []

    def listen() -> None:
        said.append(os.read(0, 1))  # not by `sys.stdin`: Python can't end while that is read
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    while not ended.wait(_PARENT_CHECK):
        if os.getppid() != parent:
            break
    if ALL_WELL in said:
        return
    from docker.errors import DockerException  # not before: most guards never need it

    from dask_knot.image.endpoints import connect

    for _ in range(_LOOKS):
        with contextlib.suppress(DockerException, EngineError, OSError):
            end_containers(connect(), name, grace)
        time.sleep(_PAUSE)


def end_containers(engine: Any, name: str, grace: float = 0.0) -> None:
    """End and remove all containers that name this guard, those that don't end by killing them."""
    from docker.errors import APIError

    ours = {"label": f"{LABEL}={name}"}
    left = engine.containers.list(all=True, ignore_removed=True, filters=ours)
    if grace > 0:
        _end_softly(engine, left, ours, grace)
    for container in left:
        with contextlib.suppress(APIError):  # it has ended
            container.kill()
    for container in left:  # all have ended before the first one is cleared away
        with contextlib.suppress(APIError):  # it is gone
            container.remove(force=True, v=True)


def _end_softly(engine: Any, left: Sequence[Any], ours: Mapping[str, str], grace: float) -> None:
    """Let containers commit what they have done, for a short while."""
    from docker.errors import APIError

    for container in left:
        with contextlib.suppress(APIError):  # it has ended
            container.kill(signal=signal.SIGTERM)
    deadline = time.monotonic() + grace
    # Without `all` those that run are listed.
    while time.monotonic() < deadline and engine.containers.list(ignore_removed=True, filters=ours):
        time.sleep(_LOOK_AGAIN)


if __name__ == "__main__":
    name, _, grace = sys.argv[2].partition("/")
    watch(name, float(grace))
