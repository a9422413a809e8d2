"""An index of packages that demands a password, and answers nobody without it."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dask_knot.environment.wheel import Wheel


def made_up_wheel(name: str, version: str = "1.0") -> Wheel:
    """Make a wheel of a package that is nowhere else."""
    from dask_knot.environment.wheel import pack

    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    return pack(name, version, {f"{name}.py": b"ANSWER = 42\n", "dist-info/METADATA": metadata})


@contextmanager
def serving(wheels: Mapping[str, Wheel], login: str) -> Iterator[str]:
    """Serve wheels by package, at ``http://HOST/simple``, to who has the login ``user:password``.

    Yields
    ------
    str
        Host and port.
    """
    files = {f"/{wheel.name}": wheel.content for wheel in wheels.values()}
    for name, wheel in wheels.items():
        files[f"/simple/{name}/"] = f'<a href="/{wheel.name}">{wheel.name}</a>'.encode()
    wanted = f"Basic {base64.b64encode(login.encode()).decode()}"

    class Index(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_known = self.headers.get("Authorization") == wanted
            content = files.get(self.path.partition("?")[0])
            self.send_response(401 if not is_known else 404 if content is None else 200)
            if not is_known:
                self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(content or b"") if is_known else 0))
            self.end_headers()
            if is_known and content is not None:
                self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
