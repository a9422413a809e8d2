"""Values that clients scatter: stored once, read by every task, gone when dropped."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from dask import delayed
from distributed import Client

from dask_knot import KnotCluster
from tests import inside
from tests.end_to_end.conftest import until
from tests.end_to_end.tasks import total

Pair = namedtuple("Pair", "one two")


def stored(cluster: KnotCluster) -> dict[str, int]:
    """Give the size of every object in the store of a cluster."""
    root = Path(inside.store(cluster).url.removeprefix("file://"))
    names = inside.store(cluster).list(f"{cluster.name}/")
    return {name: (root / name).stat().st_size for name in names if (root / name).exists()}


def is_empty(cluster: KnotCluster) -> bool:
    return inside.store(cluster).list(f"{cluster.name}/") == []


@pytest.mark.parametrize("options", [{}, {"hash": False}, {"broadcast": True}, {"direct": True}])
def test_ways_to_scatter(cluster: KnotCluster, client: Client, options: dict[str, Any]) -> None:
    single = client.scatter(7, **options)
    several = client.scatter([1, "two", None], **options)
    named = client.scatter({"a": 1, "b": [2]}, **options)
    pair = client.scatter(Pair(3, 4), **options)
    assert single.status == "finished"
    assert single.type is int
    assert isinstance(pair, Pair)
    assert sorted(named) == ["a", "b"]
    assert client.submit(lambda x: x + 1, single).result(timeout=30) == 8
    assert client.gather([single, several, named, pair.two]) == [
        7,
        [1, "two", None],
        {"a": 1, "b": [2]},
        4,
    ]
    del single, several, named, pair
    until(lambda: is_empty(cluster))


def test_equal_values_have_one_key_unless_one_says_so(client: Client) -> None:
    first, second = client.scatter([1, 1]), client.scatter([1, 1], hash=False)
    assert first[0].key == first[1].key
    assert second[0].key != second[1].key
    assert client.gather([*first, *second]) == [1, 1, 1, 1]


def test_thousands_of_tasks_read_what_is_stored_once(cluster: KnotCluster, client: Client) -> None:
    array = np.random.default_rng().random(500_000)
    big = client.scatter(array)
    futures = client.map(total, [big] * 3000, range(3000), pure=False)
    assert client.gather(futures) == pytest.approx(array.sum() + np.arange(3000))
    sizes = stored(cluster)
    (name,) = [name for name in sizes if "/scattered/" in name]
    assert array.nbytes < sizes[name] < array.nbytes + 1000
    assert sum(sizes.values()) - sizes[name] < 1_000_000
    del futures
    assert total(big.result()) == pytest.approx(array.sum())
    del big
    until(lambda: is_empty(cluster))


def test_collections_of_scattered_values(client: Client) -> None:
    parts = client.scatter([np.full(10_000, n) for n in range(4)], hash=False)
    blocks = [da.from_delayed(delayed(part), (10_000,), dtype=int) for part in parts]
    assert da.concatenate(blocks).sum().compute() == 60_000


def test_values_of_one_call_go_one_by_one(cluster: KnotCluster, client: Client) -> None:
    one, two = client.scatter([b"1" * 1000, b"2" * 1000])
    del one
    assert two.result() == b"2" * 1000
    del two
    until(lambda: is_empty(cluster))


def test_a_value_that_was_cancelled_is_lost_to_its_readers(
    cluster: KnotCluster, client: Client
) -> None:
    gone = client.scatter(b"gone")
    client.cancel(gone)
    until(lambda: is_empty(cluster))
    assert gone.cancelled()
    with pytest.raises(Exception, match=r"cancelled|lost dependencies"):
        client.submit(len, gone, pure=False).result(timeout=30)


def test_a_value_that_cannot_be_sent(client: Client) -> None:
    import threading

    with pytest.raises(TypeError):
        client.scatter(threading.Lock())


PROGRAM = """
import sys
import numpy as np
from distributed import Client

if __name__ == "__main__":
    address, direct = sys.argv[1], {"True": True, "False": False, "None": None}[sys.argv[2]]
    with Client(address, timeout=30) as client:
        theirs = client.get_dataset("theirs")
        assert client.gather(theirs, direct=direct).sum() == 100_000
        mine = client.scatter({"mine": np.ones(200_000)}, direct=direct)["mine"]
        assert client.submit(np.sum, mine).result(timeout=30) == 200_000
        client.publish_dataset(mine=mine)
"""


@pytest.mark.parametrize("direct", [True, False, None])
def test_another_process(
    cluster: KnotCluster, client: Client, tmp_path: Path, direct: bool | None
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    client.publish_dataset(theirs=client.scatter(np.ones(100_000), direct=direct))
    subprocess.run(
        [sys.executable, program, cluster.scheduler_address, str(direct)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=60,
        check=True,
    )
    mine = client.get_dataset("mine")
    assert client.gather(mine, direct=direct).sum() == 200_000
    assert client.submit(np.sum, mine, pure=False).result(timeout=30) == 200_000
    client.unpublish_dataset("mine")
    client.unpublish_dataset("theirs")
    del mine
    until(lambda: is_empty(cluster))
