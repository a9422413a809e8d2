"""Another S3 server, written by others: what moto forgives, this one may not."""

from __future__ import annotations

import json
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rig.daemons import Daemon, free_port

KEY, SECRET = "testing", "testing"


def find_program() -> str | None:
    """Find SeaweedFS' program: in this environment, or on the path."""
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else shutil.which("weed")


@contextmanager
def serving(program: str, folder: Path, **more: object) -> Iterator[str]:
    """Serve S3 from a folder, with more options of SeaweedFS' own; gives the endpoint."""
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    credentials = [{"accessKey": KEY, "secretKey": SECRET}]
    identities = [{"name": "tester", "credentials": credentials, "actions": actions}]
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": identities}))
    names = ["master.port", "volume.port", "filer.port", "s3.port"]
    ports = {name: free_port() for name in [*names, *(f"{name}.grpc" for name in names)]}
    options = {
        **ports,
        "dir": folder,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "s3.config": config,
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "master.volumeSizeLimitMB": 64,
        "master.telemetry": "false",
        **more,
    }
    command = [program, "server", "-s3", *(f"-{name}={value}" for name, value in options.items())]
    endpoint = f"http://127.0.0.1:{ports['s3.port']}"
    with Daemon(command, folder / "weed.log", {}) as server:
        server.wait_until(lambda: _answers(endpoint))
        yield endpoint
        server.kill()  # it takes half a minute to end by itself


def _answers(endpoint: str) -> bool:
    try:
        urllib.request.urlopen(endpoint, timeout=5).close()
    except urllib.error.HTTPError as error:
        error.close()
        return error.code == 403  # it listens, and wants a signature
    except OSError:
        return False
    return True
