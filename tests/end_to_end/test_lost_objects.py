"""Objects that are deleted, cut or damaged are made again, for the client and for other jobs."""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dask import delayed
from distributed import Client, WorkerPlugin, wait

from dask_knot import KnotCluster
from dask_knot.errors import KilledTaskError, StoreError
from dask_knot.run.names import Names, StageId
from tests import inside
from tests.end_to_end.conftest import until
from tests.end_to_end.tasks import inc, touch, wait_for

pytestmark = pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")

Harm = Callable[[Path], None]


def delete(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for place in range(0, len(data), 50):
        data[place] ^= 0x10
    path.write_bytes(data)


HARMS = [delete, cut, flip]


def files(cluster: KnotCluster, folder: str) -> list[Path]:
    """List the objects of a folder of the run."""
    root = Path(inside.store(cluster).url.removeprefix("file://")) / cluster.name / folder
    return sorted(path for path in root.rglob("*") if path.is_file() and "#" not in path.name)


def harm_all(cluster: KnotCluster, folder: str, harm: Harm) -> None:
    found = files(cluster, folder)
    assert found
    for path in found:
        harm(path)


class Saboteur:
    """Harms the first objects of a folder before anybody reads them."""

    def __init__(self, cluster: KnotCluster, folder: str, harm: Harm, times: int = 1) -> None:
        self._watcher: Any = inside.session(cluster)._lookout._watcher
        self._look = self._watcher.look
        self._cluster, self._folder, self._harm = cluster, folder, harm
        self.left = times
        self._watcher.look = self

    def __enter__(self) -> Saboteur:
        return self

    def __exit__(self, *_: object) -> None:
        del self._watcher.look

    def __call__(self, *arguments: Any) -> Any:
        """Harm, then look."""
        for path in files(self._cluster, self._folder) if self.left else []:
            if self.left:
                self._harm(path)
                self.left -= 1
        return self._look(*arguments)


@pytest.mark.parametrize("harm", HARMS)
def test_a_manifest_that_is_lost_before_it_is_read(
    cluster: KnotCluster, client: Client, harm: Harm
) -> None:
    with Saboteur(cluster, "manifests", harm, times=3) as saboteur:
        futures = client.map(inc, range(12), pure=False)
        total = client.submit(sum, futures, pure=False)
        assert total.result(timeout=60) == sum(range(1, 13))
        assert client.gather(futures) == list(range(1, 13))
    assert saboteur.left == 0


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("size", [10, 100_000])
def test_a_value_that_is_lost_is_computed_again(
    cluster: KnotCluster, client: Client, harm: Harm, size: int
) -> None:
    future = client.submit(np.arange, size, pure=False)
    wait(future)
    if size > 1000:
        harm_all(cluster, "data", harm)
    else:  # as after a restart, or when many manifests came since
        harm_all(cluster, "manifests", harm)
        values = inside.session(cluster).values
        values.forget([place.name for place in [inside.tracker(cluster).place_of(future.key)]])
    np.testing.assert_array_equal(future.result(timeout=60), np.arange(size))


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("folder", ["data", "manifests"])
def test_what_a_job_reads_is_computed_again(
    cluster: KnotCluster, client: Client, harm: Harm, folder: str
) -> None:
    large = client.submit(np.ones, 50_000, pure=False)
    small = client.submit(inc, 1, pure=False)
    wait([large, small])
    harm_all(cluster, folder, harm)
    read = client.submit(lambda a, b: float(a.sum()) + b, large, small, pure=False)
    after = client.submit(operator.neg, read)
    assert after.result(timeout=60) == -50_002.0
    assert read.result(timeout=60) == 50_002.0
    assert large.result(timeout=60).sum() == 50_000


def test_stages_that_wait_for_what_is_lost_go_on(
    cluster: KnotCluster, client: Client, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    parts = [delayed(np.full)(50_000, n) for n in range(4)]
    gate = delayed(wait_for)(str(go))
    sums = [delayed(lambda part, _: float(part.sum()))(part, gate) for part in parts]
    total = client.compute(delayed(sum)(sums))
    until(lambda: files(cluster, "data"))
    until(lambda: all(map(_is_whole, files(cluster, "data"))))
    harm_all(cluster, "data", flip)
    touch(str(go))
    assert total.result(timeout=60) == 50_000.0 * 6


def _is_whole(path: Path) -> bool:
    return path.stat().st_size > 100_000


@pytest.mark.parametrize("harm", HARMS)
def test_large_constants_are_written_again(
    cluster: KnotCluster, client: Client, harm: Harm, tmp_path: Path
) -> None:
    table = np.arange(100_000)
    first = client.submit(lambda data, n: data[n], table, 1, pure=False)
    assert first.result(timeout=60) == 1
    harm_all(cluster, "constants", harm)
    futures = client.map(lambda n, data: data[n], range(3), data=table, pure=False)
    assert client.gather(futures) == [0, 1, 2]


class Marks(WorkerPlugin):
    def setup(self, worker: Any) -> None:
        worker.mark = "marked"


def mark() -> str:
    from distributed import get_worker

    found: str = get_worker().mark
    return found


@pytest.mark.parametrize("harm", HARMS)
def test_plugins_are_written_again(cluster: KnotCluster, client: Client, harm: Harm) -> None:
    client.register_plugin(Marks(), name="marks")
    assert client.submit(mark, pure=False).result(timeout=60) == "marked"
    harm_all(cluster, "plugins", harm)
    assert client.submit(mark, pure=False).result(timeout=60) == "marked"
    client.unregister_worker_plugin("marks")


@pytest.mark.parametrize("harm", HARMS)
def test_packs_are_written_again(cluster: KnotCluster, client: Client, harm: Harm) -> None:
    service: Any = inside.service(cluster)
    submit, left = service.submit, [1]

    def submit_harmed(id: Any, stage: Any, url: str) -> None:
        if left.pop() if left else 0:
            (path,) = files(cluster, f"packs/{id.stored}") or [_pack(cluster, id)]
            harm(path)
        submit(id, stage, url)

    service.submit = submit_harmed
    try:
        assert client.submit(inc, 1, pure=False).result(timeout=60) == 2
    finally:
        del service.submit
    assert not left


def _pack(cluster: KnotCluster, id: StageId) -> Path:
    return Path(inside.store(cluster).url.removeprefix("file://")) / Names(cluster.name).pack(id)


def test_a_scattered_value_that_is_lost_is_an_error(cluster: KnotCluster, client: Client) -> None:
    (data,) = client.scatter([np.arange(100_000)])
    harm_all(cluster, "scattered", flip)
    with pytest.raises(StoreError, match="scatter it again"):
        client.submit(len, data).result(timeout=60)
    assert client.submit(inc, 1, pure=False).result(timeout=60) == 2


def test_what_is_lost_each_time_is_an_error(cluster: KnotCluster, client: Client) -> None:
    sabotage = Saboteur(cluster, "manifests", delete, times=1000)
    with sabotage, pytest.raises(KilledTaskError, match="without leaving a manifest"):
        client.submit(inc, 1, pure=False).result(timeout=60)
