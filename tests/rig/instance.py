"""An instance of EC2 that tells containers what it is: what their jobs cost depends on that."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.rig.machine import Rig

TYPE = "m5.large"
TOLD = {
    "instance-type": TYPE,
    "placement/availability-zone": "us-east-1a",
    "instance-life-cycle": "on-demand",
}


class Instance(BaseHTTPRequestHandler):
    """Answers as the metadata service of an instance does."""

    def do_PUT(self) -> None:
        self._say("token")

    def do_GET(self) -> None:
        self._say(TOLD[self.path.removeprefix("/latest/meta-data/")])

    def _say(self, text: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *arguments: object) -> None: ...


@contextmanager
def telling(rig: Rig) -> Iterator[dict[str, str]]:
    """Serve the metadata where containers reach the emulated AWS; give the variables they need."""
    host = urlsplit(rig.endpoint).hostname
    with ThreadingHTTPServer(("", 0), Instance) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{host}:{server.server_port}"}
        finally:
            server.shutdown()
            thread.join()
