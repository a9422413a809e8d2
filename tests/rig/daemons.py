"""Processes that a test session starts, waits for and ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

#: So long a daemon may take until it answers, or until it has ended.
PATIENCE = 60.0


class Daemon:
    """A process in a session of its own, which writes what it says into a file.

    Parameters
    ----------
    command : sequence of str
        What is run.
    log : Path
        Where its output goes.
    environment : mapping of str to str
        Variables beside those of this process.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | environment,
            )

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_until(self, is_up: Callable[[], bool]) -> None:
        """Wait until it answers; an error with its last words if it doesn't."""
        deadline = time.monotonic() + PATIENCE
        while not is_up():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self._log.stem} did not start: {self.last_words()}")
            time.sleep(0.05)

    def last_words(self) -> str:
        """Give the end of what it has written."""
        return self._log.read_text(errors="replace")[-2000:]

    def stop(self) -> None:
        """End the process and what it has started; kill what doesn't end."""
        self._end(signal.SIGTERM)
        self.kill()

    def kill(self) -> None:
        """End the process at once."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE / 2)


def answers(host: str, port: int) -> bool:
    """Tell whether something listens."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def free_port(host: str = "127.0.0.1") -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        return int(listener.getsockname()[1])


def free_address(port: int) -> str:
    """Find a loopback address where nobody listens on a port.

    Processes that look at the same time begin at different ones.
    """
    for number in range(253):
        host = f"127.77.0.{2 + (os.getpid() + number) % 253}"
        with socket.socket() as listener, suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            return host
    raise RuntimeError(f"no loopback address has port {port} free")
