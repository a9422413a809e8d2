"""What is large and in a graph reaches the store once, however many tasks and shards read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import dask
import dask.array as da
import dask.bag as db
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from dask import delayed
from distributed import Client, wait

from dask_knot import KnotCluster
from dask_knot.run.writer import Writer
from tests import inside
from tests.end_to_end.conftest import SMALL, until
from tests.end_to_end.tasks import Model, total, total_inside, total_keyword

LENGTH = 250_000
NBYTES = 8 * LENGTH

pytestmark = pytest.mark.filterwarnings("ignore:Sending large graph:UserWarning")


@pytest.fixture(scope="module")
def cluster() -> Iterator[KnotCluster]:
    """Cut finely: each task of a graph is a shard of its own, up to 16 of them."""
    with (
        dask.config.set({"knot.local.target": "1ms", "knot.local.shards-per-slot": 8}),
        KnotCluster(**SMALL) as cluster,
    ):
        yield cluster


class RecordedWriter:
    """Writes an object, and notes its bytes when it appears."""

    def __init__(self, writer: Writer, note: Callable[[int], object]) -> None:
        self._writer, self._note = writer, note
        self.write, self.abort = writer.write, writer.abort

    @property
    def size(self) -> int:
        """Give the bytes that were written so far."""
        return self._writer.size

    def commit(self) -> None:
        """Let the object appear."""
        self._writer.commit()
        self._note(self._writer.size)


@pytest.fixture
def written(cluster: KnotCluster) -> Iterator[dict[str, int]]:
    """Record the bytes of every object that the client writes, at once or while it is made."""
    store, found = inside.store(cluster), dict[str, int]()
    put, writer = store.put, store.writer

    def recorded(name: str, data: Any) -> None:
        pieces = list(data)
        found[name] = sum(memoryview(piece).nbytes for piece in pieces)
        put(name, pieces)

    store.put = recorded
    store.writer = lambda name: RecordedWriter(writer(name), partial(found.__setitem__, name))
    yield found
    store.put, store.writer = put, writer


@pytest.fixture
def array() -> np.ndarray:
    """Give an array that no other test has."""
    return np.random.default_rng().random(LENGTH)


def submitted(client: Client, array: np.ndarray) -> Any:
    return client.gather([client.submit(total, array, n) for n in range(6)])


def mapped(client: Client, array: np.ndarray) -> Any:
    return client.gather(client.map(total_keyword, range(6), big=array))


def captured(client: Client, array: np.ndarray) -> Any:
    return client.gather(client.map(lambda n: total(array, n), range(6)))


def bound(client: Client, array: np.ndarray) -> Any:
    return client.gather(client.map(Model(array).predict, range(6)))


def held(client: Client, array: np.ndarray) -> Any:
    model = Model(array)
    return client.gather([client.submit(Model.predict, model, n) for n in range(6)])


def partially(client: Client, array: np.ndarray) -> Any:
    return client.gather([client.submit(partial(total, array), n) for n in range(6)])


def nested(client: Client, array: np.ndarray) -> Any:
    futures = [client.submit(total_inside, {"deep": [array, n]}) for n in range(6)]
    return client.gather(futures)


def nested_with_tasks(client: Client, array: np.ndarray) -> Any:
    return dask.compute(
        *(delayed(total_inside)({"deep": [array, delayed(int)(n)]}) for n in range(6))
    )


def delayed_argument(client: Client, array: np.ndarray) -> Any:
    return dask.compute(*(delayed(total)(array, n) for n in range(6)))


def delayed_value(client: Client, array: np.ndarray) -> Any:
    value = delayed(array)
    return dask.compute(*(delayed(total)(value, n) for n in range(6)))


def in_blocks(client: Client, array: np.ndarray) -> Any:
    blocks = da.zeros(6, chunks=1) + da.arange(6, chunks=1)
    return blocks.map_blocks(lambda x, big: x + big.sum(), big=array, dtype=float).compute()


@pytest.mark.parametrize(
    "compute",
    [
        submitted,
        mapped,
        captured,
        bound,
        held,
        partially,
        nested,
        nested_with_tasks,
        delayed_argument,
        delayed_value,
        in_blocks,
    ],
)
def test_an_array_that_many_tasks_read(
    client: Client,
    written: dict[str, int],
    array: np.ndarray,
    compute: Callable[[Client, np.ndarray], Any],
) -> None:
    assert compute(client, array) == pytest.approx(array.sum() + np.arange(6))
    assert NBYTES < sum(written.values()) < 1.1 * NBYTES
    assert max(size for name, size in written.items() if "/packs/" in name) < 50_000


def from_array(array: np.ndarray) -> Any:
    return da.from_array(array, chunks=LENGTH // 20).sum()


def from_sequence(array: np.ndarray) -> Any:
    return db.from_sequence(array, npartitions=10).sum()


def from_pandas(array: np.ndarray) -> Any:
    return dd.from_pandas(pd.DataFrame({"a": array}), npartitions=2)["a"].sum()


def chunked_dataset(array: np.ndarray) -> Any:
    data = xr.Dataset({"a": (("x", "y"), array.reshape(500, -1))})
    return data.chunk(x=250)["a"].sum()


@pytest.mark.parametrize("build", [from_array, from_sequence, from_pandas, chunked_dataset])
def test_collections_of_what_is_in_memory(
    client: Client,
    written: dict[str, int],
    array: np.ndarray,
    build: Callable[[np.ndarray], Any],
) -> None:
    few = array[: LENGTH // 10] if build is from_sequence else array
    assert float(build(few).compute()) == pytest.approx(few.sum())
    most = 2 * LENGTH if build is from_sequence else 1.15 * NBYTES  # numbers of their own: 19 bytes
    assert sum(written.values()) < most


def test_an_array_is_the_result(client: Client, written: dict[str, int], array: np.ndarray) -> None:
    (value,) = dask.compute(delayed(array))
    assert (value == array).all()
    assert sum(written.values()) < 1.1 * NBYTES


def test_two_maps_may_name_an_argument_alike(client: Client) -> None:
    # Dask takes a large keyword's name for its key.
    lists = [list(range(start, start + 20_000)) for start in (0, 1)]
    futures = [client.map(total_keyword, [0], big=numbers, pure=False) for numbers in lists]
    assert [future.result() for (future,) in futures] == [sum(numbers) for numbers in lists]


def test_plans_share_what_is_stored_until_nobody_needs_it(
    cluster: KnotCluster, client: Client, written: dict[str, int], array: np.ndarray
) -> None:
    store = inside.store(cluster)
    first = client.submit(total, array, 1)
    assert first.result() == pytest.approx(array.sum() + 1)
    second = client.submit(total, array, 2)
    wait(second)
    constants = [name for name in written if "/constants/" in name]
    assert len(constants) == 1
    del first
    until(lambda: len(store.list(f"{cluster.name}/packs/")) == 1)
    assert store.list(f"{cluster.name}/constants/") == constants
    del second
    until(lambda: store.list(f"{cluster.name}/") == [])


def test_a_task_that_is_run_again_finds_its_argument(
    cluster: KnotCluster, client: Client, array: np.ndarray, tmp_path: Any
) -> None:
    def fail_once(big: np.ndarray, path: str) -> float:
        import pathlib

        if not pathlib.Path(path).exists():
            pathlib.Path(path).touch()
            raise OSError("not yet")
        return float(big.sum())

    future = client.submit(fail_once, array, str(tmp_path / "there"))
    with pytest.raises(OSError, match="not yet"):
        future.result(timeout=30)
    future.retry()
    assert future.result(timeout=30) == pytest.approx(array.sum())


def test_a_value_that_was_released_is_made_again(
    cluster: KnotCluster, client: Client, array: np.ndarray
) -> None:
    store = inside.store(cluster)
    first = client.submit(total, array)
    other = client.submit(total, first, 1)
    wait(other)
    assert first.result() == pytest.approx(array.sum())
    key = first.key
    del first, other
    until(lambda: store.list(f"{cluster.name}/") == [])
    assert client.submit(total, array, key=key).result() == pytest.approx(array.sum())


@pytest.mark.parametrize("length", [10, 20_000])
def test_what_holds_itself(client: Client, length: int) -> None:
    """Dask's own `Client.submit` refuses a plain list of this kind; these it takes."""
    value: list[Any] = [1, np.zeros(length)]
    value.append(value)
    bound = client.submit(partial(holds_itself, value), pure=False)
    traversed = client.compute(delayed(holds_itself)(delayed(value, traverse=False, name="own")))
    (scattered,) = client.scatter([value])
    read = client.submit(len, scattered, pure=False)
    made = client.submit(holds_itself, client.submit(make_own, length, pure=False), pure=False)
    assert client.gather([bound, traversed, made, read]) == [True, True, True, 3]


def holds_itself(value: Any) -> bool:
    return value[2] is value


def make_own(length: int) -> Any:
    value: list[Any] = [1, np.zeros(length)]
    value.append(value)
    return value


class Boundless:
    """Says that it is larger than can be."""

    def __sizeof__(self) -> int:
        raise RuntimeError("nobody knows")


def test_a_result_that_does_not_know_how_large_it_is(client: Client) -> None:
    assert type(client.submit(Boundless).result(timeout=60)).__name__ == "Boundless"
