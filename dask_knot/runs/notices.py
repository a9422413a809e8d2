"""What is open on this machine: clusters and knots leave a small file in a folder of their user.

Who finds the notice of a process that is gone removes it.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from dask_knot.settings.home import home_folder

#: By so many seconds may the start of a process seem to change: the system tells it from the time
#: of day, which is set now and then.
CLOCK_STEP = 10.0


@dataclass(frozen=True, slots=True)
class Premises:
    """Where the jobs of a cluster or knot are.

    Attributes
    ----------
    run, store, engine : str
        The run's name, the URL of the store that it is in, and what runs its jobs.
    is_named : bool
        Whether the run keeps a record.
    stack, region, profile : str
        Where on AWS.
    """

    run: str
    store: str
    engine: str
    is_named: bool = False
    stack: str = ""
    region: str = ""
    profile: str = ""


def announce(name: str, address: str, premises: Premises | None = None) -> Path | None:
    """Let this user's other processes know of a cluster; return the file, if one can be written.

    Parameters
    ----------
    name : str
        Its name.
    address : str
        That of its scheduler; empty: there is none that could be joined, as in a knot.
    premises : Premises, optional
        Where its jobs are.
    """
    process = psutil.Process()
    notice = {
        "name": name,
        "address": address,
        "host": socket.gethostname(),
        "pid": process.pid,
        "started": process.create_time(),
        "premises": None if premises is None else asdict(premises),
    }
    # A run may be open twice, in one process as well.
    port = address.rpartition(":")[2] or uuid.uuid4().hex[:8]
    folder = _folder()
    if folder is None:
        return None
    path = folder / f"{name}-{process.pid}-{port}.json"
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(json.dumps(notice))
        return path
    return None


def withdraw(path: Path) -> None:
    """Take an announcement back."""
    with contextlib.suppress(OSError):
        path.unlink()


def open_clusters() -> dict[str, str]:
    """Give the addresses of the schedulers of all open clusters by their names."""
    return {notice["name"]: notice["address"] for notice in _notices() if notice["address"]}


def open_premises() -> list[Premises]:
    """Tell where the jobs of all open clusters and knots are."""
    found = dict[Premises, None]()
    for notice in _notices():
        with contextlib.suppress(KeyError, TypeError):  # another version has written it
            found[Premises(**notice["premises"])] = None
    return list(found)


def _notices() -> Iterator[dict[str, Any]]:
    folder = _folder()
    for path in sorted(folder.glob("*.json")) if folder is not None else []:
        try:
            notice = json.loads(path.read_text())
            if notice["host"] != socket.gethostname():
                continue
            change = psutil.Process(notice["pid"]).create_time() - notice["started"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        except psutil.Error:
            change = math.inf
        if abs(change) < CLOCK_STEP:
            yield notice
        else:
            withdraw(path)


def _folder() -> Path | None:
    home = home_folder("XDG_STATE_HOME", ".local", "state")
    return None if home is None else home / "dask_knot" / "open"
