"""A line to the emulated AWS that can be cut and mended: a network that is gone for a while."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
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
    """

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self._target = (str(parts.hostname), int(parts.port or 80))
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = _listen(0)
        self._port: int = self._listener.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self._port}"
        self._take()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def cut(self) -> None:
        """End all connections and refuse new ones."""
        with self._lock:
            _end(self._listener)
            for each in self._open:
                _end(each)
            self._open.clear()

    def mend(self) -> None:
        """Take connections again."""
        self._listener = _listen(self._port)
        self._take()

    def _take(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # it was cut
            while True:
                self._join(listener.accept()[0])

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


def _listen(port: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", port), reuse_port=False)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
