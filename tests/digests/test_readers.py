"""What stands for objects that read: another thing after each change of what they read."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import pytest
from dask.core import flatten
from distributed.protocol import deserialize

from dask_knot.digests import Digester
from dask_knot.digests.files import FileMarks
from dask_knot.digests.readers import opened
from dask_knot.digests.refusal import UndigestibleError
from dask_knot.graphs.opening import send_graph
from dask_knot.internals import (
    EXECUTE_SUBGRAPH,
    Alias,
    DataNode,
    GraphNode,
    TaskRef,
    finalized,
    materialized,
)
from tests.run.conftest import s3_endpoint, s3_url

__all__ = ["s3_endpoint", "s3_url"]  # fixtures

#: It remembers what is installed, which takes a while to find out.
DIGESTER = Digester()

np = pytest.importorskip("numpy")
da = pytest.importorskip("dask.array")
xr = pytest.importorskip("xarray")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stand in an empty folder; zarr warns of what is not in its format yet."""
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield tmp_path


class Walk:
    """A walk through values that knows nothing of packages: what it can't open it takes by name."""

    def __init__(self) -> None:
        self.marks = FileMarks()
        self.marked: list[str] = []
        self.unknown: set[str] = set()

    def flat(self, value: Any) -> object:
        found = opened(value)
        if found is not None:
            return self.flat(found)
        if isinstance(value, str | os.PathLike):
            mark = self.marks.mark(value)
            if mark is not None:
                self.marked.append(str(value))
            return str(value), mark
        if isinstance(value, Mapping):
            return [(self.flat(key), self.flat(one)) for key, one in value.items()]
        if isinstance(value, list | tuple | set):
            return [self.flat(one) for one in value]
        if isinstance(value, GraphNode | TaskRef):
            return self._node(value)
        if hasattr(value, "func") and hasattr(value, "keywords"):
            return self.flat((value.func, value.args, value.keywords))
        if isinstance(value, np.ndarray):
            return value.tobytes()
        if isinstance(value, type) or callable(value):
            return getattr(value, "__qualname__", type(value).__qualname__)
        self.unknown.add(f"{type(value).__module__}.{type(value).__qualname__}")
        return repr(value)

    def _node(self, node: Any) -> object:
        """Take what a node holds, without the names that Dask gives."""
        if isinstance(node, Alias | TaskRef):
            return "other"
        if isinstance(node, DataNode):
            return self.flat(node.value)
        if node.func is EXECUTE_SUBGRAPH:
            return [self.flat(one) for one in node.args[0].values()]
        return self.flat((node.func, node.args, node.kwargs))


def graph_of(collection: Any) -> dict[Any, Any]:
    """Make the tasks of a collection as they are after a way to the cluster."""
    packed = send_graph([collection]).packed
    return materialized(deserialize(packed.header, packed.frames))[0]


def walked(collection: Any) -> tuple[object, list[str]]:
    """Walk through all tasks but for their names, as the next client would."""
    walk = Walk()
    with walk.marks.snapshot():
        tasks = graph_of(collection)
        found = [walk.flat(node) for node in tasks.values()]
    assert not [name for name in walk.unknown if name.startswith(("xarray.", "zarr.", "fsspec."))]
    return sorted(map(repr, found)), sorted(walk.marked)


def age(top: Path) -> None:
    """Let all files be older, each by itself, so that their times tell them apart."""
    for path in [top, *top.rglob("*")]:
        if path.is_file():
            changed = time.time_ns() - 60_000_000_000
            os.utime(path, ns=(changed, changed))


def data_set(number: float = 0.0) -> Any:
    values = np.arange(12.0).reshape(3, 4) + number
    return xr.Dataset({"t": (("x", "y"), values)}, coords={"x": [1, 2, 3]})


def write_zarr(path: str, number: float) -> None:
    data_set(number).to_zarr(path, mode="w")


def write_npy(path: str, number: float) -> None:
    np.save(path, data_set(number).t.values)


def frame(number: float) -> Any:
    pd = pytest.importorskip("pandas")
    return pd.DataFrame({"a": np.arange(10.0) + number, "b": list("abcdefghij")})


def write_parquet(path: str, number: float) -> None:
    dd = pytest.importorskip("dask.dataframe")
    dd.from_pandas(frame(number), npartitions=2).to_parquet(path)


def write_csv(path: str, number: float) -> None:
    frame(number).to_csv(path, index=False)


def netcdf(engine: str) -> Callable[[str, float], None]:
    def write(path: str, number: float) -> None:
        Path(path).unlink(missing_ok=True)  # somebody may still hold the old one
        data_set(number).to_netcdf(path, engine=engine)

    return write


def read_text(path: str) -> Any:
    import dask.bag

    return dask.bag.read_text(path)


def read_frame(name: str, **options: Any) -> Callable[[str], Any]:
    def read(path: str) -> Any:
        return getattr(pytest.importorskip("dask.dataframe"), name)(path, **options)

    return read


def open_with(engine: str, **options: Any) -> Callable[[str], Any]:
    return lambda path: xr.open_dataset(path, engine=engine, chunks={}, **options).t.data


def open_many(path: str) -> Any:
    with xr.open_mfdataset([path], combine="nested", concat_dim="x", engine="scipy") as found:
        return found.t.data


def open_in_parallel(path: str) -> Any:
    import dask

    return dask.delayed(xr.open_dataset)(path, engine="scipy", chunks={})


def open_zarr_array(path: str) -> Any:
    zarr = pytest.importorskip("zarr")
    return da.from_zarr(zarr.open_array(f"{path}/t", mode="r"))


def hdf5(path: str) -> Any:
    h5py = pytest.importorskip("h5py")
    return h5py.File(path, "r")["t"]


READERS: dict[str, tuple[str, Callable[[str, float], None], Callable[[str], Any]]] = {
    "netcdf4": ("a.nc", netcdf("netcdf4"), open_with("netcdf4")),
    "netcdf4-raw": ("a.nc", netcdf("netcdf4"), open_with("netcdf4", decode_cf=False)),
    "h5netcdf": ("a.nc", netcdf("h5netcdf"), open_with("h5netcdf")),
    "scipy": ("a.nc", netcdf("scipy"), open_with("scipy")),
    "mfdataset": ("a.nc", netcdf("scipy"), open_many),
    "parallel": ("a.nc", netcdf("scipy"), open_in_parallel),
    "open_zarr": ("a.zarr", write_zarr, lambda path: xr.open_zarr(path).t.data),
    "from_zarr": ("a.zarr", write_zarr, lambda path: da.from_zarr(f"{path}/t")),
    "zarr array": ("a.zarr", write_zarr, open_zarr_array),
    "read_parquet": ("a.parquet", write_parquet, read_frame("read_parquet")),
    "read_csv": ("a.csv", write_csv, read_frame("read_csv")),
    "csv pattern": ("a.csv", write_csv, lambda path: read_frame("read_csv")(path[:-5] + "*.csv")),
    "bag": ("a.csv", write_csv, read_text),
    "npy stack": ("a.npy", write_npy, lambda path: da.from_array(np.load(path, mmap_mode="r"))),
}


@pytest.mark.parametrize("name", READERS)
def test_a_graph_that_reads_changes_with_its_files(name: str, tmp_path: Path) -> None:
    path, write, read = READERS[name]
    path = str(tmp_path / path)
    seen = []
    for number in (0.0, 0.0, 1.0):
        if len(seen) != 1:
            write(path, number)
            age(tmp_path)
        seen.append(walked(read(path)))
    assert seen[0] == seen[1]
    assert seen[0][0] != seen[2][0]
    if name != "npy stack":  # the content goes along
        assert {Path(one).suffix for one in seen[0][1]} & {".nc", ".zarr", ".parquet", ".csv", ""}
        assert seen[0][1]


def digested(collection: Any) -> dict[str, bytes]:
    """Digest what is wanted of a collection: files are looked at for each."""
    packed = send_graph([collection]).packed
    expr = deserialize(packed.header, packed.frames)
    found = DIGESTER.of_graph(materialized(expr)[0], lambda key: None)
    assert not found.refusals, found.refusals
    return {str(key): found.digests[key] for key in flatten(expr.__dask_keys__())}


def local_globals(path: Path) -> Callable[[], Any]:
    return lambda: [one for one in (path, str(path))]


WAYS: dict[str, Callable[[Path], Any]] = {
    "text": lambda path: dask.delayed(open, pure=True)(str(path)),
    "path": lambda path: dask.delayed(open, pure=True)(path),
    "keyword": lambda path: dask.delayed(open, pure=True)(file=path),
    "in a list": lambda path: dask.delayed(list, pure=True)([(str(path),)]),
    "in a dict": lambda path: dask.delayed(dict, pure=True)({"a": {path: [1]}}),
    "as a key": lambda path: dask.delayed(dict, pure=True)({str(path): 1}),
    "partial": lambda path: dask.delayed(partial(open, path), pure=True)(),
    "captured": lambda path: dask.delayed(local_globals(path), pure=True)(),
    "default": lambda path: dask.delayed(lambda where=str(path): len(where), pure=True)(),
    "constant": lambda path: dask.delayed(eval(f"lambda: open({str(path)!r})"), pure=True)(),
    "bytes": lambda path: dask.delayed(open, pure=True)(bytes(path)),
    "relative": lambda path: dask.delayed(open, pure=True)(path.name),
    "url": lambda path: dask.delayed(open, pure=True)(path.as_uri()),
    "folder": lambda path: dask.delayed(os.listdir, pure=True)(path.parent),
    "pattern": lambda path: dask.delayed(os.listdir, pure=True)(f"{path.parent}/*.csv"),
    "object": lambda path: dask.delayed(type, pure=True)(SimpleNamespace(where=path)),
    "persisted value": lambda path: dask.delayed(path),
    "array of texts": lambda path: dask.delayed(len, pure=True)(np.array([str(path)], object)),
    "submit": lambda path: dask.delayed(Path.read_text, pure=True)(path),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_file_counts_however_it_is_named(way: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    seen = []
    for text in ("1", "1", "22"):
        path.write_text(text)
        os.utime(path, (10**9, 10**9))
        seen.append([*digested(WAYS[way](path)).values()])
    assert seen[0] == seen[1] != seen[2]


@pytest.mark.parametrize("name", [*READERS, "arrow"])
def test_tasks_that_read_have_digests(name: str, tmp_path: Path) -> None:
    arrow = ("a.parquet", write_parquet, read_frame("read_parquet", filesystem="arrow"))
    path, write, read = READERS.get(name, arrow)
    path = str(tmp_path / path)
    seen = []
    for number in (0.0, None, 1.0):
        if number is not None:
            write(path, number)
            age(tmp_path)
        seen.append([*digested(read(path)).values()])
    assert seen[0] == seen[1]
    assert not {*seen[0]} & {*seen[2]}


def test_parquet_of_arrow_changes_with_its_files(tmp_path: Path) -> None:
    path = str(tmp_path / "a.parquet")
    read = read_frame("read_parquet", filesystem="arrow")
    write_parquet(path, 0)
    age(tmp_path)
    first = walked(read(path))
    assert sorted(Path(one).name for one in first[1]) == ["part.0.parquet", "part.1.parquet"]
    assert walked(read(path)) == first
    write_parquet(path, 1)
    age(tmp_path)
    assert walked(read(path))[0] != first[0]


def test_what_is_held_open_changes_with_its_file(tmp_path: Path) -> None:
    netcdf4 = pytest.importorskip("netCDF4")
    data_set().to_netcdf("a.nc", engine="h5netcdf")
    age(tmp_path)
    walk = Walk()
    with netcdf4.Dataset("a.nc") as whole:
        seen = [walk.flat(whole), walk.flat(whole["t"]), walk.flat(whole["x"])]
    dataset = hdf5("a.nc")
    seen += [walk.flat(dataset), walk.flat(dataset.file), walk.flat(dataset.file["x"])]
    dataset.file.close()
    assert len({*map(repr, seen)}) == 6
    assert walk.marked == ["a.nc"] * 6


def test_variables_of_one_file_differ(tmp_path: Path) -> None:
    whole = data_set().assign(u=lambda one: one.t)
    whole.to_netcdf("a.nc", engine="scipy")
    found = xr.open_dataset("a.nc", engine="scipy", chunks={})
    assert walked(found.t.data)[0] != walked(found.u.data)[0]
    whole.to_zarr("a.zarr")
    assert walked(xr.open_zarr("a.zarr").t.data)[0] != walked(xr.open_zarr("a.zarr").u.data)[0]


def test_the_way_to_read_counts(tmp_path: Path) -> None:
    write = netcdf("scipy")
    write("a.nc", 0)
    first = walked(open_with("scipy", mask_and_scale=False)("a.nc"))
    assert walked(open_with("scipy", mmap=False)("a.nc"))[0] != first[0]


def test_zarr_in_memory_is_its_content() -> None:
    zarr = pytest.importorskip("zarr", minversion="3")
    found = []
    for number in (0, 0, 1):
        store = zarr.storage.MemoryStore()
        whole = zarr.create_array(store, name="a", shape=(4,), chunks=(2,), dtype="f8")
        whole[:] = number
        zarr.create_array(store, name="b", shape=(number + 1,), dtype="f8")
        found.append(Walk().flat(whole))
    assert found[0] == found[1] != found[2]


def test_zarr_in_s3_has_marks(s3_url: str) -> None:
    zarr = pytest.importorskip("zarr", minversion="3.0.8")
    from dask_knot.zarr import zarr_store

    url = f"{s3_url}/a.zarr"
    zarr.create_array(zarr_store(url), name="t", shape=(2,), chunks=(2,), dtype="f8")
    seen = []
    for number in (0, None, 1):
        whole = zarr.open_array(zarr_store(url), path="t")
        if number is not None:
            whole[:] = number + 1
        seen.append(walked(da.from_array(whole)))
    assert [*dict.fromkeys(seen[0][1])] == [f"{url}/t"]
    assert seen[0] == seen[1]
    assert seen[0][0] != seen[2][0]


def test_s3_elsewhere_is_refused(s3_url: str) -> None:
    zarr = pytest.importorskip("zarr", minversion="3.0.8")
    from obstore.store import S3Store

    store = S3Store("bucket", endpoint="http://localhost:1", region="us-east-1")
    with pytest.raises(UndigestibleError, match="S3Store holds Zarr data"):
        opened(zarr.storage.ObjectStore(store))


@pytest.mark.parametrize("name", ["LocalFileSystem", "S3FileSystem", "SubTreeFileSystem"])
def test_file_systems_of_arrow(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fs = pytest.importorskip("pyarrow.fs")
    from dask_knot.digests.places import url_of_arrow

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:1/")
    if name == "S3FileSystem":
        secrets = {"access_key": "a", "secret_key": "b", "region": "us-east-1"}
        same = fs.S3FileSystem(endpoint_override="http://localhost:1", **secrets)
        assert url_of_arrow(same, "bucket/a") == "s3://bucket/a"
        other = fs.S3FileSystem(endpoint_override="localhost:2", **secrets)
        with pytest.raises(UndigestibleError, match="S3FileSystem"):
            url_of_arrow(other, "bucket/a")
    elif name == "SubTreeFileSystem":
        below = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
        assert url_of_arrow(below, "a") == f"{tmp_path}/a"
    else:
        assert url_of_arrow(fs.LocalFileSystem(), "/a") == "/a"
    with pytest.raises(UndigestibleError, match="_MockFileSystem"):
        url_of_arrow(pytest.importorskip("pyarrow._fs")._MockFileSystem(), "a")


def test_file_systems_of_fsspec(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    assert opened(fsspec.filesystem("file")) == ("file system", "file")
    with pytest.raises(UndigestibleError, match=r"a file system \(memory\)"):
        opened(fsspec.filesystem("memory"))
    (tmp_path / "a.csv").write_text("1")
    assert "a.csv" in repr(opened(fsspec.open("a.csv")))
    with fsspec.open("a.csv") as file:
        assert "a.csv" in repr(opened(file))
    assert str(tmp_path) in repr(opened(fsspec.get_mapper(str(tmp_path))))
    with pytest.raises(UndigestibleError, match="memory: /a"):
        opened(fsspec.open("memory://a"))


def test_what_is_gone_is_refused(tmp_path: Path) -> None:
    netcdf("scipy")("a.nc", 0)
    data = open_with("scipy")("a.nc")
    Path("a.nc").unlink()
    with pytest.raises(UndigestibleError, match=r"a\.nc is read, but isn't here"):
        walked(data)


@pytest.mark.parametrize("engine", ["netcdf4", "h5netcdf", "scipy", "zarr"])
def test_what_writes_is_refused(engine: str) -> None:
    lazy = data_set().chunk({"x": 1})
    write = (
        lazy.to_zarr("w.zarr", compute=False)
        if engine == "zarr"
        else lazy.to_netcdf("w.nc", engine=engine, compute=False)
    )
    nodes = [*materialized(finalized([write]))[0].values()]
    with pytest.raises(UndigestibleError, match="writes"):
        Walk().flat(nodes)


@pytest.mark.parametrize("value", [1, "a", None, [1], np.arange(3), data_set(), Path("a"), len])
def test_others_are_left_to_the_walk(value: object) -> None:
    assert opened(value) is None


def test_the_folder_of_names_that_code_puts_together_counts(tmp_path: Path) -> None:
    def read(year: int) -> str:
        return Path(f"data/{year}.csv").read_text()

    seen = []
    for text in ("1", "1", "22"):
        path = tmp_path / "data" / "2001.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        os.utime(path, (10**9, 10**9))
        seen.append(digested(dask.delayed(read, pure=True)(2001)))
    assert seen[0] == seen[1] != seen[2]


def finished(above: str, unit: str) -> Any:
    """Give a data set that a function, which stands below a text, will have filled."""
    known: dict[str, Any] = {}
    exec(compile(f"{above}def double(x): return 2 * x", "somewhere.py", "exec"), known)
    found = (
        data_set()
        .chunk(x=2)
        .map(
            lambda one: xr.apply_ufunc(
                known["double"], one, dask="parallelized", output_dtypes=[float]
            )
        )
    )
    return found.assign_attrs(unit=unit)


def test_a_data_set_is_the_same_when_its_code_was_moved() -> None:
    """What puts it together has the whole graph in it, with keys that say where code stands."""
    first, moved = digested(finished("", "m")), digested(finished("\n\n\n", "m"))
    assert sorted(first.values()) == sorted(moved.values())
    assert sorted(first.values()) != sorted(digested(finished("", "km")).values())
