"""What Dask shows as workers: the jobs that may run at once; and what they can be asked for."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from dask_knot.cluster.workers import JobWorkers, as_jobs
from dask_knot.errors import LiveWorkerError
from dask_knot.planning import Resources

SIZE = Resources(vcpus=2, memory=2**30)
GATEWAY = {"type": "Worker", "id": "gateway", "name": "gateway", "nthreads": 6, "metrics": {}}


def identity(**workers: Any) -> dict[str, Any]:
    return {"n_workers": len(workers), "total_threads": 6, "total_memory": 0, "workers": workers}


@pytest.mark.parametrize(("shown", "details"), [(-1, 3), (0, 0), (2, 2), (5, 3)])
def test_a_worker_for_each_job(shown: int, details: int) -> None:
    found = as_jobs(identity(here=GATEWAY), SIZE, 3, shown)
    assert found["n_workers"] == 3
    assert found["total_memory"] == 3 * 2**30
    assert list(found["workers"]) == ["here", "here#1", "here#2"][:details]
    assert all(worker["nthreads"] == 2 for worker in found["workers"].values())


def test_no_gateway_is_no_worker() -> None:
    assert as_jobs(identity(), SIZE, 3) == identity()


class Register:
    """A scheduler with the gateway, and a client that has news to read."""

    def __init__(self, *buffers: list[str]) -> None:
        self.aliases = {"gateway": "tcp://here:1"}
        self.workers = {"tcp://here:1": SimpleNamespace(host="here")}
        self.client_comms = {str(n): SimpleNamespace(buffer=b) for n, b in enumerate(buffers)}


def test_the_gateway_has_three_names() -> None:
    workers = JobWorkers(Register())
    assert workers.address == "tcp://here:1"
    assert workers.names() == {"gateway", "tcp://here:1", "here:1", "here"}


def test_a_restart_is_answered_when_its_news_are_out() -> None:
    buffer = ["restart"]

    async def restart() -> dict[str, str]:
        asyncio.get_running_loop().call_later(0.02, buffer.clear)
        return await JobWorkers(Register(buffer)).restart(None, timeout=30)

    assert asyncio.run(restart()) == {"tcp://here:1": "OK"}
    assert buffer == []
    given_up = JobWorkers(Register(["for ever"])).restart(["a"], timeout=0.01)
    assert asyncio.run(given_up) == {"a": "OK"}


def test_there_are_no_nannies_to_tell_anything() -> None:
    async def broadcast(**message: Any) -> dict[str, Any]:
        return message

    workers, message = JobWorkers(Register()), {"msg": {"op": "run"}, "workers": None}
    assert asyncio.run(workers.broadcast(broadcast, False, message)) == message
    with pytest.raises(LiveWorkerError, match=r"^'run' is meant for nannies"):
        asyncio.run(workers.broadcast(broadcast, True, message))
