"""ForkLauncher: jobs as processes on this machine, forked from a warm server."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dask_knot.batch.rules import NOT_STARTED
from dask_knot.errors import EngineError
from dask_knot.local.child import MEMORY_LIMIT
from dask_knot.local.forkclient import Server
from dask_knot.local.launcher import HOST_LOST, OVER_MEMORY, ChildProcess, Exit, Listener
from dask_knot.local.memory import MemoryWatch
from dask_knot.local.origins import elsewhere
from dask_knot.local.wire import Message

logger = logging.getLogger(__name__)

KILLED = 128 + 9


@dataclass(slots=True)
class _Fork:
    spec: ChildProcess
    server: Server
    pid: int | None = None
    is_over_memory: bool = False


class ForkLauncher:
    """Starts children from a server process that has imported what they need.

    Parameters
    ----------
    preload
        Modules that the server imports before it forks; those that can't be imported are left out.
    environment
        Variables for the server and all children, such as ``OMP_NUM_THREADS``.
    log_path
        Where the server's own output goes; by default it is dropped.
    grace
        So many seconds children may take to end by themselves when the client closes or is gone.
    practice
        A module: its ``practise()`` does in spare children what jobs do first.
    leavings
        Folders that are removed when the client is gone.

    Raises
    ------
    EngineError
        On a system without ``fork``.
    """

    def __init__(
        self,
        *,
        preload: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        log_path: Path | None = None,
        grace: float = 0.0,
        practice: str = "",
        leavings: Sequence[Path] = (),
    ) -> None:
        if not hasattr(os, "fork"):
            raise EngineError(
                f"the local engine forks its jobs, which {sys.platform} can't: "
                "use it on Linux or macOS (or in WSL), or choose another engine"
            )
        self._preload = list(preload)
        self._environment = dict(environment or {})
        self._log_path = log_path
        self._grace = grace
        self._practice = practice
        self._leavings = [str(one) for one in leavings]
        self._listener: Listener | None = None
        # Never held while a message is sent or the listener is called: both may block.
        self._lock = threading.Lock()
        self._server: Server | None = None
        self._servers: set[Server] = set()
        self._children: dict[str, _Fork] = {}
        self._forbidden: list[str] = []
        self._learned: dict[str, None] = {}
        self._is_closed = False
        self._memory = MemoryWatch(self._exceed_memory)

    def bind(self, listener: Listener) -> None:
        """Name the listener."""
        self._listener = listener

    def warm(self) -> None:
        """Start the server, if it doesn't run yet, without waiting for it."""
        with self._lock:
            self._current()

    def start(self, child: ChildProcess) -> None:
        """Ask the server for a fork."""
        with self._lock:
            server = self._current()
            self._children[child.child_id] = _Fork(child, server)
        server.send({"do": "start", **self._request(child)})

    def signal(self, child_id: str, number: int) -> None:
        """Send a signal to the child's process group."""
        with self._lock:
            child = self._children.get(child_id)
        if child is not None:
            child.server.send({"do": "signal", "child": child_id, "signal": int(number)})

    def close(self) -> None:
        """End all children, after the grace at the latest, and the server."""
        with self._lock:
            self._is_closed = True
            servers = list(self._servers)
        for server in servers:  # so that one grace is for all of them
            server.hang_up()
        for server in servers:
            server.close()
        self._memory.close()

    def _current(self) -> Server:
        if self._is_closed:
            raise EngineError("the local engine is closed")
        if self._server is None:
            self._server = self._launch()
            self._servers.add(self._server)
        return self._server

    def _launch(self) -> Server:
        server = Server(self._event, self._ended, self._grace)
        server.launch({**os.environ, **self._environment}, self._log_path)
        server.send(
            {
                "do": "configure",
                "argv": sys.argv,
                "elsewhere": elsewhere(sys.modules),
                "preload": [*self._preload, *self._learned],
                "forbidden": self._forbidden,
                "grace": self._grace,
                "practice": self._practice,
                "leavings": self._leavings,
            }
        )
        return server

    def _request(self, child: ChildProcess) -> Message:
        limit = {MEMORY_LIMIT: str(child.memory)}
        environment = {**os.environ, **self._environment, **limit, **child.environment}
        if child.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, child.gpus))
        return {
            "child": child.child_id,
            "command": child.command,
            "environ": environment,
            "log": str(child.log_path),
            "path": _import_path(),
            "cwd": _working_folder(),
        }

    def _event(self, server: Server, message: Message) -> None:
        kind = message["event"]
        if kind == "started":
            self._note_start(message["child"], message["pid"])
        elif kind == "exited":
            self._note_exit(message["child"], message["code"])
        elif kind == "ready":
            return
        elif kind == "learned":
            with self._lock:
                self._learned.update(dict.fromkeys(message["modules"]))
        elif kind == "unfit":
            logger.info("each job imports %(module)s again: %(words)s", message)
        elif kind == "unsafe":
            self._replace(server, message["module"])
        else:
            self._start_elsewhere(message["child"])

    def _start_elsewhere(self, child_id: str) -> None:
        with self._lock:
            child = self._children.pop(child_id)
        try:
            self.start(child.spec)
        except (OSError, EngineError):
            self._report(child_id, Exit(None, status_reason=HOST_LOST))

    def _note_start(self, child_id: str, pid: int) -> None:
        with self._lock:
            child = self._children[child_id]
            child.pid = pid
        self._memory.add(child_id, pid, child.spec.memory)
        if self._listener is not None:
            self._listener.child_started(child_id)

    def _note_exit(self, child_id: str, code: int) -> None:
        with self._lock:
            child = self._children.pop(child_id)
        if child.pid is not None:
            self._memory.remove(child.pid)
        end = Exit(KILLED, reason=OVER_MEMORY) if child.is_over_memory else Exit(code)
        self._report(child_id, end)

    def _report(self, child_id: str, end: Exit) -> None:
        if self._listener is not None:
            self._listener.child_exited(child_id, end)

    def _exceed_memory(self, child_id: str) -> None:
        with self._lock:
            child = self._children.get(child_id)
            if child is None:
                return
            child.is_over_memory = True
        self.signal(child_id, signal.SIGKILL)

    def _replace(self, server: Server, module: str) -> None:
        """Let a server that can't fork safely any more finish its children; use a new one."""
        name = module if module in self._preload else module.partition(".")[0]
        logger.info("%s starts threads when imported, so each job imports it again", name)
        with self._lock:
            self._forbidden.append(name)
            if self._server is server:
                self._server = None
        server.send({"do": "drain"})

    def _ended(self, server: Server, code: int) -> None:
        """Report the children of a server that has ended; what they started ends too."""
        with self._lock:
            self._servers.discard(server)
            if self._server is server:
                self._server = None
                # One of them may have been what ended it.
                self._learned.clear()
                if server.has_started and not self._is_closed:
                    logger.warning(
                        "the fork server stopped (exit code %s) and is restarted. %s",
                        code,
                        server.words,
                    )
            lost = {key: child for key, child in self._children.items() if child.server is server}
            for child_id in lost:
                del self._children[child_id]
        for child_id, child in lost.items():
            if child.pid is not None:
                self._memory.remove(child.pid)
                _kill_group(child.pid)
            self._report(child_id, _lost_with(server, code))


def _lost_with(server: Server, code: int) -> Exit:
    """Tell how children end whose server has: one that never started would not start again.

    Unless somebody has killed it while it started.
    """
    if server.has_started or -code in (signal.SIGKILL, signal.SIGTERM):
        return Exit(None, status_reason=HOST_LOST)
    words = f"the fork server could not start (exit code {code}). It said:\n{server.words}"
    return Exit(None, f"CannotStartProcessError: {words}", NOT_STARTED)


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _working_folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return os.sep


def _import_path() -> list[str]:
    path = [folder for folder in sys.path if isinstance(folder, str)]
    here = _working_folder()
    known = {os.path.normpath(os.path.join(here, folder)) for folder in path}
    return [*path, *(one for one in _own_folders(len(sys.modules)) if one not in known)]


@lru_cache(maxsize=1)
def _own_folders(modules: int) -> list[str]:
    """Name the folders of what was imported from elsewhere, when there are so many modules.

    They may have left the import path since, or its relative entries may mean other folders now.
    """
    return sorted(set(elsewhere(sys.modules).values()))
