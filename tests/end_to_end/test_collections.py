"""Collections read and write files, shuffle by tasks, and serve the libraries built on Dask."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
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
from distributed import Client, futures_of

from dask_knot import KnotCluster
from dask_knot.cluster.process import SHUFFLES
from dask_knot.errors import UnsupportedGraphError
from tests import inside
from tests.end_to_end.conftest import until
from tests.end_to_end.tasks import inc

pytestmark = pytest.mark.preload


def frame(rows: int = 200) -> pd.DataFrame:
    draw = np.random.default_rng(5)
    return pd.DataFrame({"who": draw.integers(0, 20, rows), "x": draw.random(rows)})


#: Dask's reader of Parquet uses what the newest pandas is about to drop.
parquet = pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning")


@parquet
def test_parquet_is_written_and_read_by_jobs(client: Client, tmp_path: Path) -> None:
    path = str(tmp_path / "table")
    dd.from_pandas(frame(), npartitions=4).to_parquet(path)
    assert len(list(Path(path).glob("*.parquet"))) == 4
    read = dd.read_parquet(path, columns=["x"], filters=[("who", "<", 10)])
    expected = frame()[lambda t: t.who < 10][["x"]]
    pd.testing.assert_frame_equal(read.compute(), expected)
    assert dd.read_parquet(path).groupby("who").x.sum().compute().to_dict() == pytest.approx(
        frame().groupby("who").x.sum().to_dict()
    )


def test_csv_and_text_files(client: Client, tmp_path: Path) -> None:
    dd.from_pandas(frame(), npartitions=3).to_csv(str(tmp_path / "part-*.csv"), index=False)
    read = dd.read_csv(str(tmp_path / "part-*.csv")).compute()
    pd.testing.assert_frame_equal(read.reset_index(drop=True), frame())
    db.from_sequence(["a", "b", "c"], npartitions=2).to_textfiles(str(tmp_path / "*.txt"))
    lines = db.read_text(str(tmp_path / "*.txt")).map(str.strip).compute()
    assert lines == ["a", "b", "c"]


def test_an_array_is_stored_into_zarr_by_jobs(client: Client, tmp_path: Path) -> None:
    import zarr

    values = np.random.default_rng(0).random((60, 40))
    x = da.from_array(values, chunks=20)
    x.to_zarr(str(tmp_path / "x.zarr"))
    np.testing.assert_array_equal(da.from_zarr(str(tmp_path / "x.zarr")).compute(), values)
    target = zarr.open(str(tmp_path / "y.zarr"), mode="w", shape=(60, 40), chunks=(20, 20))
    da.store(x + 1, target, lock=False)
    np.testing.assert_array_equal(target[:], values + 1)


def test_an_array_is_stored_into_a_file_of_numpy(client: Client, tmp_path: Path) -> None:
    da.to_npy_stack(str(tmp_path / "stack"), da.arange(30, chunks=10))
    np.testing.assert_array_equal(da.from_npy_stack(str(tmp_path / "stack")), np.arange(30))


def test_storing_with_a_lock_is_refused(client: Client, tmp_path: Path) -> None:
    """It is what `da.store` does unless told otherwise; chunks of a Zarr need no lock."""
    import zarr

    target = zarr.open(str(tmp_path / "x.zarr"), mode="w", shape=(40,), chunks=(10,))
    with pytest.raises(Exception, match=r"[Ll]ock"):
        da.store(da.ones(40, chunks=10), target)


def test_storing_into_memory_is_answered(client: Client) -> None:
    """A job has a copy of the client's array, here as on any cluster: nothing may look done."""
    target = np.zeros(30)
    stored = da.store(da.ones(30, chunks=10), target, lock=False, return_stored=True, compute=True)
    np.testing.assert_array_equal(stored, np.ones(30))
    assert not target.any()


def test_many_netcdf_files(client: Client, tmp_path: Path) -> None:
    days = pd.date_range("2001-01-01", periods=60)
    values = np.random.default_rng(1).random((60, 3))
    whole = xr.Dataset({"t": (("time", "x"), values)}, {"time": days})
    for number in range(6):
        part = whole.isel(time=slice(10 * number, 10 * number + 10))
        part.to_netcdf(tmp_path / f"{number}.nc", engine="scipy")
    paths = sorted(tmp_path.glob("*.nc"))
    with xr.open_mfdataset(paths, engine="scipy", parallel=True, chunks={"time": 5}) as many:
        assert many.t.chunks is not None
        xr.testing.assert_allclose(
            many.groupby("time.month").mean().compute(), whole.groupby("time.month").mean()
        )


def test_two_xarray_objects_in_one_zarr(client: Client, tmp_path: Path) -> None:
    days = pd.date_range("2001-01-01", periods=40)
    one = xr.Dataset({"t": (("time",), np.arange(40.0))}, {"time": days}).chunk(time=10)
    path = tmp_path / "t.zarr"
    one.isel(time=slice(0, 20)).to_zarr(path, consolidated=False)
    writing = one.isel(time=slice(20, 40)).to_zarr(
        path, append_dim="time", consolidated=False, compute=False
    )
    writing.compute()
    read = xr.open_zarr(path, consolidated=False).load()
    np.testing.assert_array_equal(read.t, np.arange(40.0))


def test_delayed_pipelines_of_files(client: Client, tmp_path: Path) -> None:
    @delayed
    def write(n: int) -> str:
        path = tmp_path / f"{n}.txt"
        path.write_text(str(n))
        return str(path)

    @delayed
    def read(paths: list[str]) -> int:
        return sum(int(Path(path).read_text()) for path in paths)

    assert read([write(n) for n in range(20)]).compute() == 190


P2P: dict[str, Callable[[], Any]] = {
    "shuffle": lambda: dd.from_pandas(frame(), 4).shuffle("who", shuffle_method="p2p"),
    "set_index": lambda: dd.from_pandas(frame(), 4).set_index("who", shuffle_method="p2p"),
    "merge": lambda: dd.from_pandas(frame(), 4).merge(
        dd.from_pandas(frame(), 6), on="who", shuffle_method="p2p"
    ),
    "rechunk": lambda: da.ones((40, 40), chunks=(40, 4)).rechunk((4, 40), method="p2p"),
}


@pytest.mark.parametrize("name", P2P)
@pytest.mark.parametrize("how", ["compute", "persist"])
def test_p2p_by_name_is_refused_at_once(client: Client, name: str, how: str) -> None:
    result = getattr(client, how)(P2P[name]())
    for future in futures_of(result):
        with pytest.raises(UnsupportedGraphError, match="live workers"):
            future.result(timeout=30)


@pytest.mark.parametrize(
    "make",
    [
        lambda: db.range(40, npartitions=4).groupby(lambda n: n % 3, shuffle="disk"),
        lambda: db.range(4, npartitions=1).groupby(lambda n: n % 3, shuffle="disk"),
        lambda: dd.from_pandas(frame(), 4).shuffle("who", shuffle_method="disk"),
    ],
)
def test_shuffles_through_a_disk_are_refused(client: Client, make: Callable[[], Any]) -> None:
    """Jobs on other machines would find nothing there, and call it the result."""
    with pytest.raises(UnsupportedGraphError, match="disk of one machine"):
        make().compute()


def test_p2p_graphs_of_an_earlier_cluster_are_refused(threads_client: Client) -> None:
    with dask.config.set(dict.fromkeys(SHUFFLES, "p2p")):
        rechunked = da.ones((40, 40), chunks=(40, 4)).rechunk((4, 40))
        shuffled = dd.from_pandas(frame(), 4).shuffle("who").optimize()
    with KnotCluster(jobs=1, dashboard_address=None) as cluster, Client(cluster) as client:
        for graph in (rechunked, shuffled):
            with pytest.raises(UnsupportedGraphError, match="live workers"):
                client.compute(graph).result(timeout=30)
        assert client.submit(inc, 1).result(timeout=30) == 2


@pytest.fixture
def flowers() -> tuple[Any, Any]:
    from sklearn.datasets import load_iris

    data: tuple[Any, Any] = load_iris(return_X_y=True)
    return data


def test_scikit_learn_is_imported_before_jobs_need_it(
    open_cluster: Callable[..., KnotCluster], flowers: tuple[Any, Any]
) -> None:
    """If it is imported here: each of the first jobs would take a second or more for that."""
    cluster = open_cluster()
    launcher: Any = inside.batch(cluster)._dispatcher._launcher
    until(lambda: {"joblib", "sklearn"} <= launcher._learned.keys())
    with Client(cluster) as client:
        assert client.submit(is_warm, "sklearn").result(timeout=60)


def is_warm(module: str) -> bool:
    """Tell whether this process was born with a module."""
    return module in sys.modules


def test_grid_search_with_joblib(client: Client, flowers: tuple[Any, Any]) -> None:
    import joblib
    from sklearn.model_selection import GridSearchCV
    from sklearn.svm import SVC

    search = GridSearchCV(SVC(), {"C": [0.1, 1.0], "gamma": [0.01, 0.1]}, cv=3, n_jobs=-1)
    with joblib.parallel_config("dask", scatter=[flowers[0]]):
        search.fit(*flowers)
    found = search.cv_results_["mean_test_score"]
    search.set_params(n_jobs=1).fit(*flowers)  # here, in this process
    np.testing.assert_array_equal(found, search.cv_results_["mean_test_score"])


def test_joblib_that_is_nested(client: Client, flowers: tuple[Any, Any]) -> None:
    """Joblib inside of a job runs in that job: there it has no cluster."""
    import joblib
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import cross_val_score

    forest = RandomForestClassifier(n_estimators=5, n_jobs=2, random_state=0)
    with joblib.parallel_config("dask"):
        scores = cross_val_score(forest, *flowers, cv=3, n_jobs=-1)
    np.testing.assert_array_equal(scores, cross_val_score(forest, *flowers, cv=3))


def test_joblib_counts_the_jobs(cluster: KnotCluster, client: Client) -> None:
    import joblib

    with joblib.parallel_config("dask"):
        assert joblib.effective_n_jobs(-1) == 2
        cluster.scale(3)
        until(lambda: joblib.effective_n_jobs(-1) == 3)
        cluster.scale(2)
        assert joblib.Parallel()(joblib.delayed(inc)(n) for n in range(50)) == list(range(1, 51))


def test_errors_of_joblib_come_through(client: Client) -> None:
    import joblib

    with joblib.parallel_config("dask"), pytest.raises(ZeroDivisionError):
        joblib.Parallel()(joblib.delayed(divmod)(1, n) for n in (1, 0))


@pytest.mark.filterwarnings("ignore")
def test_dask_ml(client: Client) -> None:
    """It brings a compiler of 200 MB, so it isn't among what the tests install."""
    cluster = pytest.importorskip("dask_ml.cluster")
    selection = pytest.importorskip("dask_ml.model_selection")
    from sklearn.svm import SVC

    x = da.from_array(np.random.default_rng(0).random((200, 4)), chunks=(50, 4))
    y = (np.asarray(x).sum(axis=1) > 2).astype(int)
    assert cluster.KMeans(3, random_state=0).fit(x).cluster_centers_.shape == (3, 4)
    search = selection.GridSearchCV(SVC(), {"C": [0.1, 10.0]}, cv=2).fit(np.asarray(x), y)
    assert search.best_params_ == {"C": 10.0}


@pytest.mark.parametrize("engine", ["netcdf4", "h5netcdf"])
def test_many_netcdf_files_become_one(client: Client, tmp_path: Path, engine: Any) -> None:
    """Jobs take turns where xarray says that they must."""
    for number in range(12):
        values = {name: (("t", "x"), np.full((2, 3), number + n)) for n, name in enumerate("abc")}
        part = xr.Dataset(values, {"t": [2 * number, 2 * number + 1]})
        part.to_netcdf(tmp_path / f"in{number:02}.nc", engine=engine)
    out, twice = tmp_path / "all.nc", tmp_path / "twice.nc"
    with xr.open_mfdataset(str(tmp_path / "in*.nc"), engine=engine) as data:
        expected = data.compute(scheduler="synchronous")
        for _ in range(2):
            data.to_netcdf(out, engine=engine)
        written = [
            (data * 2).to_netcdf(twice, engine=engine, compute=False),
            (data * 3).to_netcdf(tmp_path / "thrice.nc", engine=engine, compute=False),
        ]
        dask.compute(*written)
    for times, path in ((1, out), (2, twice), (3, tmp_path / "thrice.nc")):
        with xr.open_dataset(path, engine=engine) as read:
            xr.testing.assert_identical(read.load(), expected * times)


def test_two_graphs_write_into_one_netcdf_file(client: Client, tmp_path: Path) -> None:
    data = xr.Dataset({"a": (("x",), np.arange(40.0))}).chunk(x=4)
    data.to_netcdf(tmp_path / "t.nc", engine="h5netcdf")
    other = data.rename(a="b")
    one = data.to_netcdf(tmp_path / "t.nc", "a", engine="h5netcdf", compute=False)
    two = other.to_netcdf(tmp_path / "t.nc", "a", engine="h5netcdf", compute=False)
    client.gather([client.compute(one), client.compute(two)])
    with xr.open_dataset(tmp_path / "t.nc", engine="h5netcdf") as read:
        assert float(read.a.sum()) == float(read.b.sum()) == 780
