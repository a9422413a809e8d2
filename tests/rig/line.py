"""A line to the emulated AWS that can be cut for a while: a network that is gone for a while."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


class Line:
    """Passes on what comes to an address of its own, unless it is cut.

    Parameters
    ----------
    endpoint : str
        Where it leads to.

    Attributes
    ----------
    endpoint : str
        Where it begins.
    refused : int
        How many connections were ended at once, because it was cut.
    """

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self._target = (str(parts.hostname), int(parts.port or 80))
        self._lock = threading.Lock()
        self._is_cut = False
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.refused = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        _end(self._listener)

    @contextmanager
    def gone(self) -> Iterator[None]:
        """Cut it for a while."""
        self.cut()
        try:
            yield
        finally:
            self._is_cut = False

    def cut(self) -> None:
        """End all connections, and new ones at once."""
        with self._lock:
            self._is_cut = True
            for each in self._open:
                _end(each)
            self._open.clear()

    def _accept(self) -> None:
        with suppress(OSError):  # the end
            while True:
                near = self._listener.accept()[0]
                if self._is_cut:
                    self.refused += 1
                    _end(near)
                else:
                    self._join(near)

    def _join(self, near: socket.socket) -> None:
        far = socket.create_connection(self._target)
        with self._lock:
            self._open |= {near, far}
        for pair in ((near, far), (far, near)):
            threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with self._lock:
            self._open -= {source, target}
        _end(source)
        _end(target)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
