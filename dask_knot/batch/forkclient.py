"""The client's end of one fork server: its process, its socket, and the thread that listens."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import dask_knot
from dask_knot.batch.wire import Message, Unpacker, pack

logger = logging.getLogger(__name__)

# A server that is asked to end does so at once, unless it is busy with an import.
_END_TIMEOUT = 1.0


class Server:
    """One run of ``python -m dask_knot.batch.forkserver``.

    Parameters
    ----------
    event
        Called with each message of the server, in the listening thread.
    ended
        Called once with the exit code, in the listening thread, after the last event.
    """

    def __init__(
        self,
        event: Callable[[Server, Message], None],
        ended: Callable[[Server, int], None],
    ) -> None:
        self._event = event
        self._ended = ended
        self._socket, self._far_end = socket.socketpair()
        self._sending = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._listen, name="knot-fork-server", daemon=True)

    def launch(self, environment: Mapping[str, str], log_path: Path | None) -> None:
        """Start the process and return at once: messages wait in the socket."""
        number = self._far_end.fileno()
        output = os.open(log_path or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dask_knot.batch.forkserver", str(number)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**environment, "PYTHONPATH": _import_path(environment)},
                pass_fds=(number,),
                # Not in the group that Ctrl-C in a terminal reaches: not even while it starts.
                start_new_session=True,
            )
        except OSError:
            self._socket.close()
            raise
        finally:
            os.close(output)
            self._far_end.close()
        self._thread.start()

    def send(self, message: Message) -> None:
        """Send a message; one to a server that has ended is dropped, as its end is reported."""
        try:
            with self._sending:
                self._socket.sendall(pack(message))
        except OSError:
            return

    def close(self) -> None:
        """End the process with its children, and the thread."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return
        finally:
            self._join()

    def _join(self) -> None:
        self._thread.join(_END_TIMEOUT)
        if self._thread.is_alive() and self._process is not None:
            self._process.kill()
            self._thread.join()

    def _listen(self) -> None:
        assert self._process is not None
        unpacker = Unpacker()
        while data := self._receive():
            try:
                for message in unpacker.feed(data):
                    self._event(self, message)
            except Exception:  # its children must not be left without anybody who listens
                logger.exception("the fork server is given up, because of a mistake")
                self._process.kill()
                break
        code = self._wait()
        # Whoever sends just now must not write into another file of the same number.
        with self._sending:
            self._socket.close()
        self._ended(self, code)

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(1 << 16)
        except OSError:
            return b""

    def _wait(self) -> int:
        assert self._process is not None
        try:
            return self._process.wait(_END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _import_path(environment: Mapping[str, str]) -> str:
    """Return a PYTHONPATH with which the server finds this very package."""
    root = str(Path(dask_knot.__file__ or "").resolve().parent.parent)
    given = environment.get("PYTHONPATH")
    return f"{root}{os.pathsep}{given}" if given else root
