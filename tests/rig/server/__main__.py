"""Serve the emulated AWS: ``python -m tests.rig.server PORT FOLDER REGISTRY``."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from tests.rig.server import (
    access,
    asked,
    batch,
    blobs,
    builds,
    calling,
    counted,
    formation,
    images,
    refusing,
    routes,
)
from tests.rig.server.attempts import Surroundings
from tests.rig.server.queueing import Queueing


class Handler(MotoRequestHandler):
    """Keeps connections open, and writes nothing for each request."""

    protocol_version = "HTTP/1.1"

    def log_request(self, *_: object) -> None:
        """Say nothing."""


def main(port: int, folder: Path, registry: str) -> None:
    """Put the emulation into moto, and serve until the process is ended."""
    endpoint = f"http://127.0.0.1:{port}"
    os.environ.setdefault("MOTO_PORT", str(port))
    slots = int(os.environ.get("RIG_BATCH_SLOTS", "2"))
    shortest = int(os.environ.get("RIG_BATCH_SHORTEST_TIMEOUT", "60"))
    surroundings = Surroundings(endpoint, folder, access.Credentials(endpoint, folder))
    batch.install(Queueing(slots), surroundings, shortest)
    asked.install()  # before what it is the base of
    access.install()
    formation.install()
    routes.install()
    calling.install()
    images.install(registry)
    blobs.install(registry)
    builds.install(endpoint)
    application = surroundings.credentials.serve(DomainDispatcherApplication(create_backend_app))
    for serve in (asked.serve, refusing.serve, calling.serve, counted.serve):
        application = serve(application)
    make_server(
        "127.0.0.1", port, application, threaded=True, request_handler=Handler
    ).serve_forever()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
