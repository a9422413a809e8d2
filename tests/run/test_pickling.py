"""Arrays that repeat their memory are pickled at the size of it, and all others as by Dask."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

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
