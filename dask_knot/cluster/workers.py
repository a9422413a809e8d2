"""Jobs in the place of Dask's workers: one is shown for each job that may run at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from itertools import islice
from time import monotonic
from typing import Any, NoReturn, Protocol

from dask_knot.cluster.gateway import GATEWAY
from dask_knot.errors import LiveWorkerError
from dask_knot.internals import has_news
from dask_knot.planning import Resources

#: Seconds between two looks at whether clients were sent their news: Dask collects them for 2 ms.
NEWS_INTERVAL = 0.005


def as_jobs(
    identity: Mapping[str, Any], size: Resources, jobs: int, shown: int = -1
) -> dict[str, Any]:
    """Replace the gateway in what a scheduler says of itself by the jobs that it stands for.

    Programs read from there how much may run at once, and other processes wait until there are
    enough workers: `Client.wait_for_workers`. The first job has the gateway's address.

    Parameters
    ----------
    identity : mapping
        What `Scheduler.identity` says.
    size : Resources
        What one job has.
    jobs : int
        How many may run at once.
    shown : int
        For so many workers details are wanted; -1: for all.
    """
    memory = size.memory or 0
    entries: dict[str, Any] = {}
    for address, gateway in islice(identity["workers"].items(), 1):
        job = {"type": "Job", "nthreads": int(size.vcpus), "memory_limit": memory, "nanny": None}
        for number in range(jobs if shown < 0 else min(shown, jobs)):
            key = f"{address}#{number}" if number else address
            entries[key] = {**gateway, **job, "id": number, "name": number}
    totals = {"n_workers": jobs, "total_memory": jobs * memory} if identity["n_workers"] else {}
    return {**identity, **totals, "workers": entries}


class WorkerRegister(Protocol):
    """A scheduler, as it is needed here: its one worker, and who hears of it."""

    aliases: Mapping[object, str]
    workers: Mapping[str, Any]
    client_comms: Mapping[str, Any]


class JobWorkers:
    """Answers for workers.

    Parameters
    ----------
    scheduler : WorkerRegister
        Dask's, which knows the gateway.
    """

    def __init__(self, scheduler: WorkerRegister) -> None:
        self._scheduler = scheduler

    @property
    def address(self) -> str:
        """The address of the one worker."""
        return str(self._scheduler.aliases.get(GATEWAY, ""))

    def names(self) -> set[str]:
        """Name the one worker as users may: its name, its address, its host."""
        address = self.address
        host = self._scheduler.workers[address].host
        return {GATEWAY, address, address.partition("://")[2], host}

    async def restart(self, workers: list[str] | None, timeout: float) -> dict[str, str]:
        """Tell that all is new: jobs were ended with their keys, and the gateway keeps no state."""
        # Dask's own workers take their time. Here the answer would overtake the news of the
        # restart, which cancel all that a client has: also what it asks for after the answer.
        deadline, is_left = monotonic() + timeout, True
        while is_left and monotonic() < deadline:
            is_left = has_news(self._scheduler)
            await asyncio.sleep(NEWS_INTERVAL)  # also after the last are taken out: to be written
        return dict.fromkeys(self._scheduler.workers if workers is None else workers, "OK")

    async def broadcast(
        self, broadcast: Callable[..., Awaitable[Any]], nanny: bool, message: dict[str, Any]
    ) -> Any:
        """Send a message to the gateway, as Dask does it; there is no nanny to send one to.

        Raises
        ------
        LiveWorkerError
            If it is meant for nannies.
        """
        if nanny:
            raise LiveWorkerError(
                f"{message['msg'].get('op')!r} is meant for nannies, but there are none: "
                "jobs come and go. Leave out nanny=True, or use a LocalCluster"
            )
        return await broadcast(**message)


def refuse_retirement() -> NoReturn:
    """Refuse to retire the gateway: without it nothing would run any more.

    Raises
    ------
    LiveWorkerError
        Always.
    """
    raise LiveWorkerError(
        "workers of this cluster are jobs, which come and go with their work: there is none "
        "to retire. cluster.scale(n) sets how many may run at once, cluster.close() stops "
        "all of them"
    )
