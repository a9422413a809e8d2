"""Clients are introduced to the store, wherever they are."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from distributed import Client, Status
from distributed.comm import CommClosedError

from dask_knot.cluster import courier as module
from dask_knot.cluster.courier import Courier, Introduction, attach
from dask_knot.cluster.remote import RemoteCourier
from dask_knot.run.manifest import Place
from dask_knot.session.values import ClosedReaderError


def introduction(client: str) -> bytes:
    return pickle.dumps(Introduction(client, "Scheduler-1", "file:///a/run/packs/0-0"))


def test_a_client_of_another_process_reads_itself(threads_client: Client) -> None:
    connection: Any = threads_client.scheduler
    try:
        pickle.loads(introduction(threads_client.id))
        assert isinstance(connection.gather.__self__, RemoteCourier)
        assert "scatter" not in vars(connection)
        first = connection.gather.__self__
        pickle.loads(introduction(threads_client.id))  # as after it came back
        assert connection.gather.__self__ is not first
        assert first._ask.__qualname__ == connection.gather.__self__._ask.__qualname__
        assert first._ask.__qualname__.startswith("PooledRPCCall")
    finally:
        vars(connection).pop("gather", None)


def test_who_is_not_here_is_left_alone() -> None:
    assert pickle.loads(introduction("Client-of-nobody")) is None


ELSEWHERE = {
    "none": None,  # as where it isn't installed
    "another version": SimpleNamespace(),
    "another way to call it": SimpleNamespace(introduce=lambda: None),
    "one that fails": SimpleNamespace(introduce=lambda known: known.nothing),
}


@pytest.mark.parametrize("there", ELSEWHERE)
def test_who_has_no_dask_knot_is_not_disturbed(there: str, monkeypatch: pytest.MonkeyPatch) -> None:
    message = introduction("Client-1")
    monkeypatch.setitem(sys.modules, module.__name__, ELSEWHERE[there])  # type: ignore[arg-type]
    assert pickle.loads(message) is None


def test_who_cannot_import_it_is_not_disturbed(tmp_path: Path) -> None:
    """It is there, but what it depends on isn't."""
    package = tmp_path / "dask_knot"
    package.mkdir()
    (package / "__init__.py").write_text("import a_package_that_is_not_here")
    program = "import pickle, sys; print(pickle.load(sys.stdin.buffer))"
    command = [sys.executable, "-S", "-c", program]
    sent = {"input": introduction("Client-1"), "env": {"PYTHONPATH": str(tmp_path)}}
    assert subprocess.run(command, **sent, check=True, capture_output=True).stdout == b"None\n"


@pytest.mark.parametrize(
    ("takes", "is_attached"), [(None, True), (["pickle", "dask"], True), (["msgpack"], False)]
)
def test_who_takes_no_pickles_gets_values_in_another_way(takes: Any, is_attached: bool) -> None:
    connection = SimpleNamespace(deserializers=takes)
    client = SimpleNamespace(scheduler=connection)
    attach(client, lambda known: SimpleNamespace(gather="ours"))
    assert hasattr(connection, "gather") is is_attached


class Beside:
    """A scheduler that runs in this event loop, or elsewhere."""

    def __init__(self, error: Exception | None = None, damaged: bool = False) -> None:
        self.error, self.damaged = error, damaged
        self.status = Status.running
        self.asked: list[Any] = []
        self.loop = SimpleNamespace(asyncio_loop=asyncio.get_running_loop())

    def courier(self) -> Courier:
        connection = SimpleNamespace(gather=self.by_message, scatter=self.by_message)
        reader: Any = self
        return Courier(connection, self, self, reader)

    async def by_message(self, **options: Any) -> Any:
        self.asked.append(options)
        return {"status": "error", "keys": options.get("keys")}

    async def scatter(self, **options: Any) -> Any:
        return ["here"]

    def locate(self, keys: Any) -> Any:
        return {key: Place("name", 0, 1) for key in keys if key != "lost"}, [
            key for key in keys if key == "lost"
        ]

    def load_values(self, places: Any, over: Any) -> Any:
        if self.error is not None:
            raise self.error
        return ({}, dict.fromkeys(places)) if self.damaged else (dict.fromkeys(places, 5), {})

    def log_event(self, topic: Any, msg: Any) -> None:
        assert msg["action"] == "gather"


def test_beside_the_scheduler_nothing_is_sent() -> None:
    async def main() -> None:
        beside = Beside()
        courier = beside.courier()
        assert await courier.gather(["a"]) == {"status": "OK", "data": {"a": 5}}
        assert await courier.gather(["a", "lost"]) == {"status": "error", "keys": ["lost"]}
        assert await courier.scatter(data={}) == ["here"]
        assert beside.asked == []

    asyncio.run(main())


def test_a_scheduler_that_has_ended_or_is_elsewhere_is_sent_messages() -> None:
    async def main() -> None:
        beside = Beside()
        beside.status = Status.closed
        assert (await beside.courier().gather(["a"]))["status"] == "error"
        beside.status, beside.loop.asyncio_loop = Status.running, None
        await beside.courier().scatter(data={})
        assert beside.asked == [{"keys": ["a"]}, {"data": {}}]

    asyncio.run(main())


def test_what_is_damaged_is_asked_of_the_scheduler() -> None:
    async def main() -> None:
        beside = Beside(damaged=True)
        assert await beside.courier().gather(["a"]) == {"status": "error", "keys": ["a"]}
        assert beside.asked == [{"keys": ["a"]}]

    asyncio.run(main())


def test_the_end_of_the_cluster_is_that_of_a_connection() -> None:
    async def main() -> None:
        with pytest.raises(CommClosedError, match="closed while"):
            await Beside(ClosedReaderError()).courier().gather(["a"])

    asyncio.run(main())
