"""The clusters open on this machine: for `dask cluster list` of dask-ctl, and to join them.

An open cluster leaves a small file in a folder of its user; who finds one whose process is gone
removes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import socket
from collections.abc import AsyncIterator, Generator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from distributed.core import Status, rpc
from distributed.deploy.cluster import Cluster
from distributed.objects import SchedulerInfo
from distributed.security import Security

from dask_knot.errors import EngineError
from dask_knot.internals import start_loop, stop_loop
from dask_knot.settings import checks
from dask_knot.settings.home import home_folder

#: Why a cluster is closed by a process that only leaves its run.
LEAVING = "knot-leave"
#: By so many seconds may the start of a process seem to change: the system tells it from the time
#: of day, which is set now and then.
CLOCK_STEP = 10.0


@dataclass(frozen=True, slots=True)
class Premises:
    """Where the jobs of a cluster are.

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
    """Let this user's other processes know of a cluster; return the file, if one can be written."""
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
    port = address.rpartition(":")[2]
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


async def discover() -> AsyncIterator[tuple[str, type[RunningCluster]]]:
    """Name the clusters that this user has open on this machine, and the class that joins them."""
    for name in await asyncio.to_thread(open_clusters):
        yield name, RunningCluster


def open_clusters() -> dict[str, str]:
    """Give the addresses of all open clusters by their names."""
    return {notice["name"]: notice["address"] for notice in _notices()}


def open_premises() -> list[Premises]:
    """Tell where the jobs of all open clusters are."""
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


class RunningCluster(Cluster):  # type: ignore[misc]
    """A cluster that another process has open; `Client(RunningCluster.from_name(...))` joins it.

    Parameters
    ----------
    name : str
        Its name.
    asynchronous : bool
        Whether this is awaited inside an event loop.
    security : Security, optional
        TLS as in the process that opened it.

    Raises
    ------
    ConfigurationError
        If there is no such cluster; the message names those that there are.
    """

    _supports_scaling = False

    def __init__(
        self,
        name: str,
        *,
        loop: Any = None,
        asynchronous: bool = False,
        security: Security | None = None,
    ) -> None:
        there = open_clusters()
        address = there[checks.one_of("name", name, tuple(there))]
        super().__init__(asynchronous=asynchronous, loop=loop, name=name, quiet=True)
        self.security = security or Security()
        arguments = self.security.get_connection_args("client")
        self.scheduler_comm = rpc(address, connection_args=arguments)
        if not self.called_from_running_loop:
            start_loop(self)
            self.sync(self._start)

    def __await__(self) -> Generator[Any, Any, RunningCluster]:
        async def started() -> RunningCluster:
            if self.status == Status.created:
                await self._start()
            return self

        return started().__await__()

    async def _start(self) -> None:
        # Not as the base class does: the scheduler tells one cluster only of its workers.
        self.scheduler_info = SchedulerInfo(await self.scheduler_comm.identity())
        self.status = Status.running

    @classmethod
    def from_name(cls, name: str, **options: Any) -> RunningCluster:
        """Join the cluster of that name.

        Raises
        ------
        ConfigurationError
            If there is no such cluster; the message names those that there are.
        """
        return cls(name, **options)

    def scale(self, n: int) -> None:
        """Refuse: the process that opened the cluster decides.

        Raises
        ------
        EngineError
            Always.
        """
        raise EngineError(
            f"only the process that opened {self.name} can scale it: call cluster.scale({n}) there"
        )

    def adapt(self, **limits: Any) -> None:
        """Refuse: the process that opened the cluster decides.

        Raises
        ------
        EngineError
            Always.
        """
        raise EngineError(
            f"only the process that opened {self.name} can scale it: call cluster.adapt() there"
        )

    def close(self, timeout: float | None = None) -> Any:
        """Close the cluster, in whatever process it is: a named run is left, and stays."""
        closing = super().close(timeout)
        if not self.asynchronous:
            stop_loop(self)
        return closing

    async def _close(self) -> None:
        if self.status == Status.running:
            with contextlib.suppress(OSError):
                await self.scheduler_comm.terminate(reason=LEAVING)
        await super()._close()
