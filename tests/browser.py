"""Chromium looks at pages, in frames as wide as a phone."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
)
#: Opens one page after the other in a frame, and writes down what it saw of each.
LOOK = """<!doctype html>
<body><script>
const names = NAMES, seen = {};
const settled = (page) => new Promise((done) => {
  const began = performance.now();
  const ask = () => {
    const found = page.querySelectorAll("#search-results li").length;
    const waits = page.querySelector("#search-results") && !found;
    if (!waits || performance.now() - began > 20000) done(found); else setTimeout(ask, 50);
  };
  ask();
});
(async () => {
  for (const name of names) {
    const frame = document.createElement("iframe");
    frame.style = "border: 0; width: WIDTHpx; height: 800px";
    const loaded = new Promise((done) => (frame.onload = done));
    frame.src = name;
    document.body.append(frame);
    await loaded;
    const page = frame.contentDocument;
    const found = name.includes("?") ? await settled(page) : 0;
    seen[name] = {width: page.scrollingElement.scrollWidth, found};
    frame.remove();
  }
  await fetch("/_seen", {method: "POST", body: JSON.stringify(seen)});
})();
</script></body>
"""


def look(folder: Path, names: list[str], width: int, profile: Path) -> dict[str, dict[str, int]]:
    """Tell how wide each page of a folder is in a frame, and how much each search found."""
    assert CHROMIUM
    text = LOOK.replace("NAMES", json.dumps(names)).replace("WIDTH", str(width))
    seen: dict[str, dict[str, int]] = {}
    ready = threading.Event()
    with _served(folder, text, seen, ready) as address:
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", f"{address}/_look.html"]
        command.insert(-1, "--remote-debugging-port=0")  # stays until it is told to go
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert ready.wait(300), "Chromium has told nothing"
        finally:
            process.terminate()
            process.wait()
    return seen


@contextmanager
def _served(
    folder: Path, text: str, seen: dict[str, dict[str, int]], ready: threading.Event
) -> Iterator[str]:
    """Serve a folder, and the page that looks at the others; take what it has seen."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/_look.html":
                return super().do_GET()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(text.encode())
            return None

        def do_POST(self) -> None:
            seen.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()
            ready.set()

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing of what the browser doesn't wait for when a frame is gone."""

    handler = functools.partial(Handler, directory=str(folder))
    server = Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
