"""Arrays that repeat their memory are pickled at the size of it, and all others as by Dask."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from distributed.protocol import deserialize, serialize

from dask_knot.run import codec

N = 1000
#: More than any of the values below has in memory of its own, and less than it shows.
FEW = 40_000


def broadcast(*shape: int, value: Any = 1.5) -> np.ndarray[Any, Any]:
    return np.broadcast_to(np.asarray(value), shape)


def writable() -> np.ndarray[Any, Any]:
    return np.lib.stride_tricks.as_strided(np.arange(3.0), (N, 3), (0, 8))


def masked() -> Any:
    return np.ma.MaskedArray(broadcast(N, N), broadcast(N, N, value=False), fill_value=7.0)


ARRAYS: dict[str, Callable[[], np.ndarray[Any, Any]]] = {
    "one number": lambda: broadcast(N, N),
    "a row": lambda: broadcast(N, 5, value=np.arange(5)),
    "a column": lambda: broadcast(5, N, value=np.arange(5)[:, None]),
    "in the middle": lambda: broadcast(4, N, 3, value=np.arange(12).reshape(4, 1, 3)),
    "in Fortran's order": lambda: broadcast(7, 3, N).T,
    "part of another": lambda: broadcast(N, 9, value=np.arange(18)[::2])[::3, 1:8:2],
    "backwards": lambda: broadcast(N, 9, value=np.arange(9)[::-1]),
    "dates": lambda: broadcast(N, N, value=np.datetime64("2001-01-01")),
    "fields": lambda: broadcast(N, N, value=np.zeros((), dtype=[("a", int), ("b", "U5")])),
    "writable": writable,
    "nothing": lambda: broadcast(0, N),
    "one by one": lambda: broadcast(1, 1),
}


def travelled(value: object) -> tuple[Any, int]:
    data = b"".join(codec.encode(value))
    return codec.decode(bytearray(data)), len(data)


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("around", [lambda x: x, lambda x: [1, {"a": (x, x)}]])
def test_an_array_that_repeats_its_memory(name: str, around: Any) -> None:
    array = ARRAYS[name]()
    found, size = travelled(around(array))
    while type(found) is not np.ndarray:
        found = found["a"][0] if type(found) is dict else found[1]
    assert size < FEW
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    assert found.flags.writeable == array.flags.writeable
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize(
    "around",
    [
        lambda x: SimpleNamespace(held=[x]),
        lambda x: xr.DataArray(x, dims=("a", "b")),
        lambda x: xr.Dataset({"v": (("a", "b"), x)}),
        lambda x: collections.OrderedDict(held=x),
        lambda x: SimpleNamespace(held=x, function=lambda: 1),
    ],
)
def test_in_other_objects_it_can_be_written_to(around: Any) -> None:
    """They are pickled as a whole on any Dask cluster, which makes whole arrays of it."""
    found, size = travelled(around(broadcast(N, N)))
    assert size < FEW
    array = getattr(found, "values", getattr(found, "held", None))
    if isinstance(found, xr.Dataset):
        array = found.v.values
    if isinstance(found, dict):
        array = found["held"]
    array = array[0] if type(array) is list else array
    array[0, 0] = 2
    assert (array[0, :2].tolist(), array[1, 0]) == ([2, 1.5], 1.5)


def test_masked_arrays() -> None:
    for array in (masked(), np.ma.MaskedArray(broadcast(N, N), hard_mask=True)):
        found, size = travelled([array])
        assert size < FEW
        assert found[0].fill_value == array.fill_value
        assert found[0].hardmask == array.hardmask
        np.testing.assert_array_equal(found[0].mask, array.mask)
        np.testing.assert_array_equal(found[0].data, array.data)


def test_objects_are_not_multiplied() -> None:
    array = np.broadcast_to(np.array({"a": 1}, dtype=object), (3, 4))
    found, _ = travelled(array)
    assert found.tolist() == array.tolist()


def test_all_else_is_pickled_as_by_dask() -> None:
    frame = pd.DataFrame({"x": np.arange(5.0), "y": list("abcde")})
    function, _ = travelled(lambda x: x + 1)
    assert function(1) == 2
    pd.testing.assert_frame_equal(travelled(frame)[0], frame)
    with pytest.raises(TypeError, match="lock"):
        codec.encode([broadcast(N, N), threading.Lock()])


def frozen(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    array.flags.writeable = False
    return array


def mapped(folder: Path, mode: Any = "r") -> np.ndarray[Any, Any]:
    np.arange(5000.0).tofile(folder / "map")
    return np.memmap(folder / "map", "f8", mode, shape=(100, 50))


WHOLE = np.arange(100_000.0).reshape(200, 500)
DATES = np.arange(10_000).astype("M8[ns]")
#: Arrays of which numpy alone would copy the memory into the pickle, and some of which it wouldn't.
LARGE: dict[str, Callable[[Path], Any]] = {
    "contiguous": lambda _: WHOLE,
    "read-only": lambda _: frozen(WHOLE.copy()),
    "in Fortran's order": lambda _: WHOLE.T,
    "with its dimensions permuted": lambda _: WHOLE.reshape(20, 10, 500).transpose(1, 0, 2),
    "a piece": lambda _: WHOLE[:, :100],
    "a piece that is read-only": lambda _: frozen(WHOLE[:, :100]),
    "backwards": lambda _: WHOLE[::-1, ::-1],
    "of Fortran's, a piece": lambda _: WHOLE.T[:, 3:99],
    "a field": lambda _: np.zeros(5000, [("a", "i4"), ("b", "f8")])["b"],
    "records": lambda _: np.zeros(5000, [("a", "i4"), ("b", "f8")])[::2],
    "times": lambda _: DATES,
    "times, read-only": lambda _: frozen(DATES.copy()),
    "a piece of times": lambda _: DATES[::3],
    "differences": lambda _: DATES - DATES[0],
    "times of another byte order": lambda _: DATES.astype(">M8[s]"),
    "a memory map": mapped,
    "a memory map that is written": lambda folder: mapped(folder, "r+"),
    "a piece of a memory map": lambda folder: mapped(folder)[:, :20],
    "masked": lambda _: np.ma.masked_greater(WHOLE, 7),
    "masked, a piece": lambda _: np.ma.masked_greater(WHOLE, 7)[:, ::2],
    "masked, but nothing is": lambda _: np.ma.MaskedArray(WHOLE),
}


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("around", [lambda x: x, lambda x: [{"a": x}]], ids=["bare", "inside"])
def test_a_large_array_arrives_as_on_any_cluster_of_dask(
    name: str, around: Any, tmp_path: Path
) -> None:
    array = LARGE[name](tmp_path)
    body, *buffers = codec.pickled(around(array))
    assert len(body) < 500
    assert sum(memoryview(buffer).nbytes for buffer in buffers) >= array.nbytes
    found, _ = travelled(around(array))
    there = deserialize(*serialize(around(array), on_error="raise"))
    for one in (found, there):
        one = one[0]["a"] if type(one) is list else one
        assert type(one) is (np.ndarray if isinstance(array, np.memmap) else type(array))
        assert one.flags.writeable == (array.flags.writeable or "piece" in name)
        assert one.dtype == array.dtype
        np.testing.assert_array_equal(one, array)


@pytest.mark.parametrize("make", [lambda: WHOLE[:, :100], lambda: frozen(DATES.copy())])
def test_in_other_objects_each_is_writable(make: Callable[[], Any]) -> None:
    found, _ = travelled(SimpleNamespace(held=make()))
    assert found.held.flags.writeable
    np.testing.assert_array_equal(found.held, make())


@pytest.mark.parametrize("value", [b"x" * 10**6, bytearray(10**6)], ids=["bytes", "bytearray"])
def test_the_memory_of_bytes_is_not_copied(value: Any) -> None:
    parts = codec.pickled(value)
    shared = [np.shares_memory(np.frombuffer(p, "u1"), np.frombuffer(value, "u1")) for p in parts]
    assert shared == [False, True]
    found, _ = travelled(value)
    assert (type(found), found) == (type(value), value)


def test_one_array_stays_one() -> None:
    piece = WHOLE[:, :100]
    found, size = travelled([piece, piece])
    assert found[0] is found[1]
    assert size < 2 * piece.nbytes


def test_blocks_of_frames_and_datasets_stand_beside_the_pickle() -> None:
    size = 20_000
    frame = pd.DataFrame(
        {
            "x": np.arange(float(size)),
            "y": np.arange(float(size)),
            "when": pd.date_range("2000", periods=size, freq="s"),
            "text": pd.array([f"text {n}" for n in range(size)], dtype="string[pyarrow]"),
        }
    )
    data = xr.Dataset({"v": (("t", "x"), WHOLE[:, ::2])}, {"t": frame.when[:200].to_numpy()})
    for value in (frame, frame[frame.x > 100], frame.iloc[5_000:15_000], data):
        assert len(codec.pickled(value)[0]) < 10_000
        found, _ = travelled(value)
        if isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(found, value)
        else:
            xr.testing.assert_identical(found, value)
