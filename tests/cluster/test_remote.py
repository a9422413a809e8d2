"""A client in another process reads the store if it is the cluster's, or else asks for ranges."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from dask.typing import Key

from dask_knot.cluster import remote
from dask_knot.cluster.located import Located
from dask_knot.cluster.remote import RemoteCourier
from dask_knot.errors import ClientMemoryError
from dask_knot.run import codec
from dask_knot.run.manifest import Place
from dask_knot.run.names import StageId
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.session.admission import Admission

NEAR = {"small": 1, ("b", 2): "text"}
LARGE = {f"large-{n}": np.arange(n, 40_000 + n) for n in range(3)}


class Cluster:
    """A cluster in another process: its store, and the messages that it answers."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.run = Run(Store(folder), "run")
        self.places: dict[Key, Place] = {}
        for key, value in LARGE.items():
            name = f"run/data/{key}"
            data = b"".join(codec.encode(value))
            self.run._store.put(name, [data])
            self.places[key] = Place(name, 0, len(data))
        self.near = {key: memoryview(b"".join(codec.encode(v))) for key, v in NEAR.items()}
        self.asked: Counter[str] = Counter()
        self.under_way = self.most_under_way = 0

    @property
    def connection(self) -> Any:
        return SimpleNamespace(
            gather=self.gather, read_range=self.read_range, locate_values=self.locate_values
        )

    @property
    def url(self) -> str:
        return self.run.url_of(StageId(0, 0))

    async def locate_values(self, keys: Collection[Key]) -> dict[str, Any]:
        self.asked["locate"] += 1
        missing = [key for key in keys if key not in self.places and key not in self.near]
        if missing:
            return {"status": "error", "keys": missing}
        near = {key: self.near[key] for key in keys if key in self.near}
        far = {key: self.places[key] for key in keys if key in self.places}
        made, arguments = Located.of(near, far).__reduce__()
        return {"status": "OK", "located": made(*arguments)}

    async def read_range(self, place: tuple[str, int, int]) -> dict[str, Any]:
        self.asked["range"] += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        if not self.run._store.has(place[0]):
            return {"data": None}
        return {"data": self.run.read_value(Place(*place))}

    async def gather(self, keys: Collection[Key]) -> dict[str, Any]:
        self.asked["gather"] += 1
        return {"status": "error", "keys": list(keys)}


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path / "theirs")


def gather(courier: RemoteCourier, keys: Collection[Key]) -> dict[str, Any]:
    return asyncio.run(courier.gather(keys=keys))


def check(reply: dict[str, Any]) -> None:
    """Check that all values came, and that they may be written to."""
    assert reply["status"] == "OK"
    assert reply["data"].keys() == NEAR.keys() | LARGE.keys()
    for key, value in (NEAR | LARGE).items():
        np.testing.assert_array_equal(reply["data"][key], value)
    for key in LARGE:
        reply["data"][key][:] = 0


def not_there(cluster: Cluster, folder: Path) -> str:
    return cluster.url.replace("theirs", "nowhere")


def another(cluster: Cluster, folder: Path) -> str:
    """Give the URL of a store that has objects of these names, with other values in them."""
    other = Cluster(folder / "other")
    for key, place in other.places.items():
        data = b"".join(codec.encode(LARGE[key] + 1))
        other.run._store.put(place.name, [data])
    return other.url


def test_all_is_read_from_the_store_if_it_is_the_same(cluster: Cluster) -> None:
    async def twice() -> None:
        courier = RemoteCourier(cluster.connection, cluster.url)
        for _ in range(2):  # what is changed in place is nobody else's
            check(await courier.gather(keys=[*NEAR, *LARGE]))

    asyncio.run(twice())
    assert cluster.asked == {"locate": 2, "range": 1}  # the head of one value


@pytest.mark.parametrize("url", [not_there, another])
def test_bytes_come_by_message_if_it_is_not(
    cluster: Cluster,
    url: Callable[[Cluster, Path], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote, "PIECE_BYTES", 10_000)
    courier = RemoteCourier(cluster.connection, url(cluster, tmp_path))
    check(gather(courier, [*NEAR, *LARGE]))
    size = sum(place.length for place in cluster.places.values())
    assert cluster.asked["range"] >= size // 10_000
    assert cluster.most_under_way <= remote.PIECES_AT_ONCE
    assert not (tmp_path / "nowhere").exists()


def test_small_values_need_no_store(cluster: Cluster) -> None:
    courier = RemoteCourier(cluster.connection, cluster.url)
    assert gather(courier, list(NEAR)) == {"status": "OK", "data": NEAR}
    assert cluster.asked == {"locate": 1}


def test_keys_that_have_no_value_are_named(cluster: Cluster) -> None:
    courier = RemoteCourier(cluster.connection, cluster.url)
    assert gather(courier, ["small", "x"]) == {"status": "error", "keys": ["x"]}


def gone(store: Store, name: str) -> None:
    store.delete([name])


def damaged(store: Store, name: str) -> None:
    data = bytearray(store.get(name))
    data[-1] ^= 1
    store.put(name, [data])


@pytest.mark.parametrize("harm", [gone, damaged])
@pytest.mark.parametrize("url", [not_there, None])
def test_the_scheduler_learns_of_what_can_not_be_read(
    cluster: Cluster, harm: Callable[[Store, str], None], url: Any, tmp_path: Path
) -> None:
    courier = RemoteCourier(
        cluster.connection, url(cluster, tmp_path) if url is not None else cluster.url
    )
    harm(cluster.run._store, cluster.places["large-1"].name)
    assert gather(courier, list(LARGE)) == {"status": "error", "keys": ["large-1"]}
    assert cluster.asked["gather"] == 1


def test_who_has_no_memory_asks_for_no_bytes(cluster: Cluster, tmp_path: Path) -> None:
    url = not_there(cluster, tmp_path)
    courier = RemoteCourier(cluster.connection, url, Admission(lambda: 1000))
    with pytest.raises(ClientMemoryError, match="1\\.0 MB are needed, 0\\.0 MB are free"):
        gather(courier, list(LARGE))
    assert cluster.asked == {"locate": 1}
