"""Graphs from every part of Dask give exactly what the synchronous scheduler gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import dask
import dask.array as da
import dask.bag as db
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from dask import delayed
from distributed import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dask_knot import KnotCluster

pytestmark = pytest.mark.preload

Make = Callable[[], Any]


@pytest.fixture(scope="module")
def client(cluster: KnotCluster) -> Iterator[Client]:
    """Give one client for all graphs."""
    with Client(cluster) as client:
        yield client


def numbers(*shape: int, chunks: Any, seed: int = 0) -> da.Array:
    return da.from_array(np.random.default_rng(seed).random(shape), chunks=chunks)


def table(rows: int = 300, npartitions: int = 6) -> dd.DataFrame:
    draw = np.random.default_rng(2)
    frame = pd.DataFrame(
        {
            "who": draw.choice(["ada", "ben", "cleo"], rows),
            "place": draw.integers(0, 40, rows),
            "x": draw.random(rows),
        },
        index=pd.date_range("2001-01-01", periods=rows, freq="h", name="when"),
    )
    return dd.from_pandas(frame, npartitions=npartitions)


def places() -> dd.DataFrame:
    return dd.from_pandas(pd.DataFrame({"place": range(40), "height": range(0, 400, 10)}), 3)


def daily() -> xr.DataArray:
    values = np.random.default_rng(1).random((730, 4, 6))
    days = pd.date_range("2001-01-01", periods=730)
    array = xr.DataArray(values, dims=("time", "lat", "lon"), coords={"time": days}, name="t")
    return array.chunk(time=100, lat=2)


def words() -> db.Bag:
    return db.from_sequence(["to", "be", "or", "not", "that"] * 17, npartitions=5)


def block_sums(block: np.ndarray[Any, Any], block_info: Any = None) -> np.ndarray[Any, Any]:
    """Use all that Dask tells a block of itself."""
    where = block_info[0]
    low = [start for start, _ in where["array-location"]]
    return block + 100 * low[0] + low[1] + block_info[None]["num-chunks"][0]


def with_number(block: np.ndarray[Any, Any], block_id: Any = None) -> np.ndarray[Any, Any]:
    return block * (1 + sum(block_id))


def scaled(values: np.ndarray[Any, Any], by: float) -> np.ndarray[Any, Any]:
    return values * by


def scaled_column(frame: pd.DataFrame, by: float) -> pd.DataFrame:
    return frame.assign(x=frame.x * by)


def part(number: int) -> pd.DataFrame:
    return pd.DataFrame({"n": [number, number + 1]})


ARRAY: dict[str, Make] = {
    "creation": lambda: da.arange(1000, chunks=70) ** 2 + da.linspace(0, 1, 1000, chunks=70),
    "seeded random numbers": lambda: da.random.default_rng(7).normal(size=(90, 90), chunks=30),
    "broadcasting": lambda: numbers(60, 1, chunks=20) - numbers(50, chunks=25, seed=1),
    "tree reduction": lambda: numbers(90, 90, chunks=10).std(axis=0),
    "argmax": lambda: numbers(90, 90, chunks=30).argmax(axis=1),
    "cumulative sum": lambda: numbers(300, chunks=25).cumsum(axis=0, method="blelloch"),
    "overlap": lambda: numbers(90, 90, chunks=30).map_overlap(np.sort, depth=3, boundary="reflect"),
    "tensordot": lambda: da.tensordot(
        numbers(20, 30, 8, chunks=(10, 15, 4)), numbers(30, 8, 5, chunks=(15, 4, 5)), axes=2
    ),
    "einsum": lambda: da.einsum(
        "ij,kj->ik", numbers(40, 30, chunks=15), numbers(20, 30, chunks=15)
    ),
    "svd": lambda: da.linalg.svd(numbers(200, 10, chunks=(50, 10)))[1],
    "qr": lambda: da.linalg.qr(numbers(200, 10, chunks=(50, 10)))[1],
    "solve": lambda: da.linalg.solve(
        numbers(40, 40, chunks=20) + 40 * da.eye(40, chunks=20), numbers(40, chunks=20)
    ),
    "fft": lambda: da.fft.fft(numbers(32, 64, chunks=(8, 64))).real,
    "fancy indexing": lambda: numbers(80, 50, chunks=20)[[60, 3, 3, 41]][:, [7, 49, 0]],
    "boolean mask": lambda: _masked(numbers(400, chunks=50)),
    "vindex": lambda: numbers(80, 50, chunks=20).vindex[[1, 70, 33], [49, 0, 20]],
    "assignment": lambda: _assigned(numbers(60, 60, chunks=20)),
    "rechunk": lambda: numbers(90, 90, chunks=(10, 90)).rechunk((90, 10)),
    "reshape": lambda: numbers(60, 60, chunks=20).reshape(3600),
    "concatenate and stack": lambda: da.stack(
        [da.concatenate([numbers(40, chunks=9), numbers(20, chunks=7)]), numbers(60, chunks=20)]
    ),
    "block_info": lambda: numbers(60, 40, chunks=20).map_blocks(block_sums, dtype=float),
    "block_id": lambda: numbers(60, 40, chunks=20).map_blocks(with_number, dtype=float),
    "histogram": lambda: da.histogram(numbers(900, chunks=100), bins=9, range=(0, 1))[0],
    "percentile": lambda: da.percentile(numbers(900, chunks=100), [5, 50, 95]),
    "unique": lambda: da.unique((numbers(900, chunks=100) * 9).astype(int)),
    "gufunc": lambda: da.apply_gufunc(
        np.cross, "(i),(i)->(i)", *2 * [numbers(9, 3, chunks=3)], output_dtypes=float
    ),
    "one value": lambda: numbers(5, chunks=5)[2],
    "nothing": lambda: numbers(0, chunks=1).sum(),
}
DATAFRAME: dict[str, Make] = {
    "columns": lambda: table().assign(y=lambda t: t.x * t.place)[["y", "who"]],
    "filter": lambda: table()[table().x > 0.5],
    "groupby": lambda: table().groupby("who").x.agg(["mean", "count", "max"]),
    "groupby split out": lambda: table().groupby("place").x.sum(split_out=3),
    "groupby apply": lambda: (
        table().groupby("who")[["x"]].apply(lambda t: t.x.max() - t.x.min(), meta=("range", float))
    ),
    "value_counts": lambda: table().who.value_counts(sort=True),
    "merge": lambda: table().merge(places(), on="place"),
    "merge after a shuffle": lambda: table().merge(places(), on="place", shuffle_method="tasks"),
    "join": lambda: table().join(table()[["x"]].rename(columns={"x": "z"})),
    "set_index": lambda: table().set_index("place"),
    "sort_values": lambda: table().sort_values("x"),
    "shuffle": lambda: table().shuffle("place"),
    "drop_duplicates": lambda: table().drop_duplicates("place", split_out=2),
    "rolling": lambda: table().x.rolling(8).mean(),
    "resample": lambda: table().x.resample("1D").mean(),
    "cumulative sum": lambda: table().x.cumsum(),
    "describe": lambda: table()[["x", "place"]].describe(),
    "repartition": lambda: table().repartition(npartitions=2),
    "map_partitions": lambda: table().map_partitions(lambda part: part.assign(size=len(part))),
    "to an array": lambda: table().x.to_dask_array(lengths=True),
    "isin": lambda: table()[table().who.isin(["ada", "cleo"])],
    "a part of the index": lambda: table().loc["2001-01-03":"2001-01-09"],
    "a delayed argument": lambda: table().map_partitions(
        scaled_column, delayed(2.5), meta=table()._meta
    ),
    "a reduced argument": lambda: table()[["x"]] / table().x.sum(),
    "a delayed part": lambda: dd.from_delayed([delayed(part)(n) for n in range(3)]),
    "pivot_table": lambda: (
        table()
        .assign(who=lambda t: t.who.astype("category").cat.set_categories(["ada", "ben", "cleo"]))
        .pivot_table(index="place", columns="who", values="x", aggfunc="mean")
    ),
}
BAG: dict[str, Make] = {
    "map and filter": lambda: db.range(200, npartitions=9).map(lambda n: n * n).filter(bool),
    "fold": lambda: db.range(200, npartitions=9).fold(lambda a, b: a + b),
    "frequencies": lambda: words().frequencies(),
    "foldby": lambda: words().foldby(len, lambda count, _: count + 1, 0, lambda a, b: a + b),
    "groupby": lambda: words().groupby(len, shuffle="tasks").map(lambda g: (g[0], len(g[1]))),
    "topk": lambda: words().topk(3, key=len),
    "distinct": lambda: words().distinct().map(str.upper),
    "join": lambda: words().join(["two", "three"], len),
    "accumulate": lambda: db.range(40, npartitions=4).accumulate(lambda a, b: a + b),
    "product": lambda: db.range(6, npartitions=2).product(db.range(5, npartitions=2)),
    "random sample": lambda: db.range(500, npartitions=5).random_sample(0.1, random_state=3),
    "to a dataframe": lambda: db.range(90, npartitions=4).map(lambda n: {"n": n}).to_dataframe(),
}
XARRAY: dict[str, Make] = {
    "groupby": lambda: daily().groupby("time.month").mean(),
    "anomaly": lambda: daily().groupby("time.month") - daily().groupby("time.month").mean(),
    "resample": lambda: daily().resample(time="MS").max(),
    "rolling": lambda: daily().rolling(time=7, center=True).mean(),
    "coarsen": lambda: daily().coarsen(time=10).sum(),
    "weighted": lambda: daily().weighted(xr.DataArray([1.0, 2, 3, 4], dims="lat")).mean("lat"),
    "apply_ufunc": lambda: xr.apply_ufunc(scaled, daily(), 3.0, dask="parallelized"),
    "map_blocks": lambda: xr.map_blocks(lambda t: t - t.mean("lon"), daily(), template=daily()),
    "interpolation": lambda: daily().interp(lat=[0.5, 1.5], lon=[2.25]),
    "dataset": lambda: daily().to_dataset().assign(half=lambda d: d.t / 2).sum("time"),
}
DELAYED: dict[str, Make] = {
    "tree": lambda: _tree([delayed(n) for n in range(64)]),
    "nested": lambda: delayed({"a": [delayed(1), (delayed(2), {3: delayed(4)})]}),
    "attributes": lambda: delayed("a b c").split(" ")[1:] + delayed(["d"]),
    "several values": lambda: sum(delayed(divmod, nout=2)(47, 5)),
    "a collection inside": lambda: delayed(len)(daily().data) + delayed(sum)(words().map(len)),
}
ALL = {
    f"{kind}: {name}": make
    for kind, makers in {
        "array": ARRAY,
        "dataframe": DATAFRAME,
        "bag": BAG,
        "xarray": XARRAY,
        "delayed": DELAYED,
    }.items()
    for name, make in makers.items()
}


def _masked(x: da.Array) -> da.Array:
    return x[x > 0.5] * 2


def _assigned(x: da.Array) -> da.Array:
    x[10:30, ::2] = -1
    x[x > 0.9] = 0
    return x


def _tree(parts: list[Any]) -> Any:
    while len(parts) > 1:
        parts = [a + b for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def assert_identical(one: Any, other: Any) -> None:
    """Compare values and types, every bit of them."""
    assert type(one) is type(other)
    if isinstance(one, xr.DataArray | xr.Dataset):
        xr.testing.assert_identical(one, other)
    elif isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other, check_exact=True, check_freq=False)
    elif isinstance(one, pd.Series):
        pd.testing.assert_series_equal(one, other, check_exact=True, check_freq=False)
    elif isinstance(one, np.ndarray | np.generic):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    else:
        assert one == other


def test_there_are_graphs_enough() -> None:
    assert len(ALL) >= 40


@pytest.mark.parametrize("name", ALL)
def test_graph(client: Client, name: str) -> None:
    collection = ALL[name]()
    (expected,) = dask.compute(collection, scheduler="synchronous")
    (result,) = dask.compute(collection)
    assert_identical(result, expected)


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith(("data", "delayed"))])
def test_persisted_graph(client: Client, name: str) -> None:
    collection = ALL[name]()
    (expected,) = dask.compute(collection, scheduler="synchronous")
    (result,) = dask.compute(*dask.persist(collection))
    assert_identical(result, expected)


def test_all_kinds_in_one_graph(client: Client) -> None:
    # Dask itself warns of graphs that are in part expressions: those of dataframes.
    names = [name for name in ALL if "dataframe" not in name]
    mixed = [ALL[name]() for name in names]
    expected = dask.compute(*mixed, scheduler="synchronous")
    for result, one in zip(dask.compute(*mixed), expected, strict=True):
        assert_identical(result, one)


STEPS: dict[str, Callable[[da.Array], da.Array]] = {
    "add": lambda x: x + 1,
    "transpose": lambda x: x.T,
    "halve": lambda x: x[::2] if len(x) > 2 else x,
    "reverse": lambda x: x[:, ::-1],
    "pick": lambda x: x[[len(x) - 1, 0]],
    "rechunk": lambda x: x.rechunk((3, -1)),
    "outer": lambda x: x - x.mean(axis=0),
    "multiply": lambda x: x @ x.T,
    "overlap": lambda x: x.map_overlap(lambda b: b * 2, depth=1, boundary="none"),
    "cumsum": lambda x: x.cumsum(axis=1),
    "double": lambda x: da.concatenate([x, x], axis=0),
    "mask": lambda x: da.where(x > 0.5, x, -x),
}


@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
@given(
    rows=st.integers(1, 12),
    columns=st.integers(1, 12),
    chunk=st.integers(1, 5),
    steps=st.lists(st.sampled_from(sorted(STEPS)), max_size=6),
    persisted=st.integers(0, 6),
)
def test_random_array_programs(
    client: Client, rows: int, columns: int, chunk: int, steps: list[str], persisted: int
) -> None:
    here = there = numbers(rows, columns, chunks=chunk)
    for number, step in enumerate(steps):
        here, there = STEPS[step](here), STEPS[step](there)
        if number == persisted:
            there = there.persist()
    (expected,) = dask.compute(here, scheduler="synchronous")
    assert_identical(there.compute(), expected)


def _noted(number: int, *inputs: Any) -> tuple[Any, ...]:
    return (number, *inputs)


@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
@given(reads=st.lists(st.sets(st.integers(0, 100), max_size=4), min_size=1, max_size=25))
def test_random_graphs(client: Client, reads: list[set[int]]) -> None:
    """Each value tells its whole history, so a wrong or stale input shows."""
    # Names of their own: with those of a graph before, Dask may give that one's values.
    names = [f"n{number}-{uuid4().hex}" for number in range(len(reads))]
    graph: dict[str, Any] = {}
    for number, chosen in enumerate(reads):
        inputs = sorted({one % number for one in chosen}) if number else []
        graph[names[number]] = (_noted, number, *(names[one] for one in inputs[:3]))
    keys = [names[-1], *names[::3]]
    assert client.get(graph, keys) == list(dask.get(graph, keys))
