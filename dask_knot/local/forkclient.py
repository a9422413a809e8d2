"""The client's end of one fork server: its process, its socket, and the thread that listens."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import dask_knot
from dask_knot.local.origins import lasting
from dask_knot.local.wire import Message, Unpacker, pack

logger = logging.getLogger(__name__)

MODULE = "dask_knot.local.forkserver"
# A server that is asked to end does so at once, unless it is busy with an import, or grants its
# children a grace.
_END_TIMEOUT = 1.0
# So many bytes of what a server has printed are told when it ends.
_TOLD = 4000


class Server:
    """One run of the fork server.

    Parameters
    ----------
    event
        Called with each message of the server, in the listening thread.
    ended
        Called once with the exit code, in the listening thread, after the last event.
    grace
        So many seconds it grants its children when it is asked to end.

    Attributes
    ----------
    has_started
        Whether it has said anything: one that hasn't could not start.
    words
        The last lines that it has printed, its traceback for one; there when it has ended.
    """

    def __init__(
        self,
        event: Callable[[Server, Message], None],
        ended: Callable[[Server, int], None],
        grace: float = 0.0,
    ) -> None:
        self._event = event
        self._ended = ended
        self._end_timeout = _END_TIMEOUT + grace
        self._socket, self._far_end = socket.socketpair()
        self._sending = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._output = -1
        self.has_started = False
        self.words = ""
        self._thread = threading.Thread(target=self._listen, name="knot-fork-server", daemon=True)

    def launch(self, environment: Mapping[str, str], log_path: Path | None) -> None:
        """Start the process and return at once: messages wait in the socket."""
        number = self._far_end.fileno()
        try:
            self._output = _open_output(log_path)
            self._process = subprocess.Popen(
                boot_command(MODULE, str(number)),
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                env=far_environment(environment),
                pass_fds=(number,),
                # Not in the group that Ctrl-C in a terminal reaches: not even while it starts.
                start_new_session=True,
            )
        except OSError:
            self._socket.close()
            self._read_output()
            raise
        finally:
            self._far_end.close()
        self._thread.start()

    def send(self, message: Message) -> None:
        """Send a message; one to a server that has ended is dropped, as its end is reported."""
        try:
            with self._sending:
                self._socket.sendall(pack(message))
        except OSError:
            return

    def hang_up(self) -> None:
        """Ask the process to end with its children."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:  # it has ended
            return

    def close(self) -> None:
        """End the process with its children, and the thread."""
        self.hang_up()
        self._thread.join(self._end_timeout)
        if self._thread.is_alive() and self._process is not None:
            self._process.kill()
            self._thread.join()

    def _listen(self) -> None:
        assert self._process is not None
        unpacker = Unpacker()
        while data := self._receive():
            try:
                for message in unpacker.feed(data):
                    self.has_started = True
                    self._event(self, message)
            except Exception:  # its children must not be left without anybody who listens
                logger.exception("the fork server stops because of a bug in it")
                self._process.kill()
                break
        code = self._wait()
        self._read_output()
        # Whoever sends just now must not write into another file of the same number.
        with self._sending:
            self._socket.close()
        self._ended(self, code)

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(1 << 16)
        except OSError:
            return b""

    def _read_output(self) -> None:
        """Keep the last of what the server printed: nobody prints there any more."""
        if self._output >= 0:
            start = max(0, os.fstat(self._output).st_size - _TOLD)
            self.words = os.pread(self._output, _TOLD, start).decode(errors="replace").strip()
            os.close(self._output)
            self._output = -1

    def _wait(self) -> int:
        assert self._process is not None
        try:
            return self._process.wait(_END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


_ROOT = str(Path(dask_knot.__file__ or "").resolve().parent.parent)
_BOOT = str(Path(__file__).with_name("boot.py"))


def boot_command(module: str, argument: str) -> list[str]:
    """Give the command of a process that runs a module of ours, on an import path of ours."""
    return [sys.executable, _BOOT, module, argument, _ROOT, *lasting(sys.path)]


def _open_output(log_path: Path | None) -> int:
    """Open what the server prints into: it can be read again, and is gone afterwards if unnamed."""
    if log_path is not None:
        return os.open(log_path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def far_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Give an environment in which Python doesn't look into the current folder while it starts."""
    entries = environment.get("PYTHONPATH", "").split(os.pathsep)
    far = [entry for entry in entries if os.path.isabs(entry) and not _is_here(entry)]
    kept = {name: value for name, value in environment.items() if name != "PYTHONPATH"}
    return {**kept, "PYTHONPATH": os.pathsep.join(far)} if far else kept


def _is_here(folder: str) -> bool:
    try:
        return os.path.samefile(folder, os.curdir)
    except OSError:
        return False
