"""An S3 that is busy for a while, or gone, loses nothing: requests are tried again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dask_knot.run.store import Store

#: One more than obstore tries by itself.
REFUSALS = 11
BUSY = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"


class Handler(BaseHTTPRequestHandler):
    """Refuses some requests, then takes what comes."""

    refusals = REFUSALS
    taken: list[bytes]

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if type(self).refusals:
            type(self).refusals -= 1
            self._answer(503, BUSY)
        else:
            self.taken.append(body)
            self._answer(200, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[tuple[str, list[bytes]]]:
    """Give the address of a server, and what it takes."""
    taken: list[bytes] = []
    handler = type("OneHandler", (Handler,), {"taken": taken})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as found:
        threading.Thread(target=found.serve_forever).start()
        yield f"http://127.0.0.1:{found.server_port}", taken
        found.shutdown()


def test_slow_down_is_tried_again(server: tuple[str, list[bytes]]) -> None:
    address, taken = server
    store = Store(
        "s3://bucket/prefix",
        region="eu-west-1",
        endpoint=address,
        client_options={"allow_http": True},
        access_key_id="AKID",
        secret_access_key="secret",
    )
    store.put("name", [b"value"])
    assert taken == [b"value"]
