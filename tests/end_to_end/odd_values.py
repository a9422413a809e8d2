"""Values that are unusual in how their bytes lie, each made by a function that jobs can import."""

from __future__ import annotations

import array
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import xarray as xr
from scipy import sparse

#: More than a manifest takes in, and no multiple of a page.
LENGTH = 20_011


def numbers() -> np.ndarray:
    return np.arange(LENGTH, dtype=float)


def square() -> np.ndarray:
    return np.arange(200.0 * 150).reshape(200, 150)


def broadcast() -> np.ndarray:
    return np.broadcast_to(np.arange(50.0), (400, 50))


def overlapping() -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(numbers(), 7)


def read_only(values: np.ndarray) -> np.ndarray:
    values.setflags(write=False)
    return values


def with_not_a_time() -> np.ndarray:
    found = np.arange(LENGTH).astype("datetime64[s]")
    found[::7] = "NaT"
    return found


def records() -> np.ndarray:
    found = np.zeros(LENGTH, dtype=[("a", "i2"), ("b", "f8"), ("c", "U3")])
    found["a"], found["c"] = np.arange(LENGTH) % 1000, "ab"
    return found


def objects() -> np.ndarray:
    found = np.empty(LENGTH, object)
    found[:] = [None, "ä", 1.5, (1, 2)] * (LENGTH // 4) + [None] * (LENGTH % 4)
    return found


def arrays_in_objects() -> np.ndarray:
    found = np.empty(3, object)
    found[:] = [numbers(), numbers()[::2], read_only(numbers())]
    return found


def memory_map() -> np.ndarray:
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        found = np.memmap(file.name, float, "w+", shape=(LENGTH,))
        found[:] = numbers()
        return found


def read_only_map() -> np.ndarray:
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file.name, square())
        return np.load(file.name, mmap_mode="r")[10:, 3:]


def frame() -> pd.DataFrame:
    words = pd.array([f"wörd {n % 97}" for n in range(LENGTH)], dtype="string[pyarrow]")
    whole = pd.array(np.arange(LENGTH), dtype="Int64")
    whole[::5] = pd.NA
    return pd.DataFrame(
        {
            "words": words,
            "whole": whole,
            "x": numbers(),
            "kind": pd.Categorical(["a", "b", "c"] * (LENGTH // 3) + ["a"] * (LENGTH % 3)),
            "when": pd.date_range("2001", periods=LENGTH, freq="s", tz="Europe/Berlin"),
            "any": objects(),
        }
    )


def arrow_strings() -> pd.Series:
    return frame()["words"].iloc[1000:-1000:2]


def table() -> pa.Table:
    return pa.table({"n": numbers(), "s": ["ab", None, "c"] * (LENGTH // 3) + [""]}).slice(100)


def labeled() -> xr.DataArray:
    return xr.DataArray(square()[::2], dims=("t", "x"), coords={"t": np.arange(100)}).T


def twice_the_same() -> list[np.ndarray]:
    found = numbers()
    return [found, found]


class Measured(np.ndarray):
    """Numbers with a unit."""

    unit = "none"

    def __reduce__(self) -> Any:
        construct, arguments, state = super().__reduce__()
        return construct, arguments, (state, self.unit)

    def __setstate__(self, state: Any) -> None:
        own, self.unit = state
        super().__setstate__(own)


def measured() -> np.ndarray:
    found = numbers().view(Measured)
    found.unit = "m"
    return found


MAKERS: dict[str, Callable[[], Any]] = {
    "numbers": numbers,
    "transposed": lambda: square().T,
    "columns first": lambda: np.asfortranarray(square()),
    "every second": lambda: numbers()[::2],
    "backwards": lambda: square()[::-1, ::-1],
    "a corner": lambda: square()[3:-2, 5:-4],
    "a column": lambda: np.zeros((LENGTH, 3))[:, 1],
    "three axes": lambda: np.arange(40.0**3).reshape(40, 40, 40).transpose(2, 0, 1),
    "three axes, cut": lambda: np.arange(40.0**3).reshape(40, 40, 40)[:, 2:30, 1:39],
    "broadcast": broadcast,
    "overlapping": overlapping,
    "read only": lambda: read_only(numbers()),
    "read only, cut": lambda: read_only(square())[:, 3:],
    "read only, columns first": lambda: read_only(np.asfortranarray(square())),
    "over bytes": lambda: np.frombuffer(bytes(LENGTH * 8)),
    "over a bytearray": lambda: np.frombuffer(bytearray(LENGTH * 8)),
    "not aligned": lambda: np.frombuffer(bytearray(LENGTH * 8 + 1), np.uint8)[1:].view(float),
    "big end first": lambda: numbers().astype(">f8"),
    "times": with_not_a_time,
    "records": records,
    "records, one field": lambda: records()["b"],
    "text": lambda: np.array(["ä", "bcd"] * LENGTH),
    "halves": lambda: np.arange(LENGTH * 4, dtype=np.float16),
    "complex": lambda: square()[:, ::3] * 1j,
    "masked": lambda: np.ma.masked_less(square()[:, ::2], 100.0),
    "a subclass": measured,
    "objects": objects,
    "arrays in objects": arrays_in_objects,
    "memory map": memory_map,
    "read-only map": read_only_map,
    "frame": frame,
    "frame, every second row": lambda: frame().iloc[::2],
    "arrow strings": arrow_strings,
    "arrow table": table,
    "labeled": labeled,
    "sparse": lambda: sparse.random(500, 500, 0.2, format="csr", random_state=0),
    "bytes": lambda: b"\x00\xff" * LENGTH * 4,
    "bytearray": lambda: bytearray(b"\x00\xff" * LENGTH * 4),
    "array of the library": lambda: array.array("d", numbers()),
    "the same twice": twice_the_same,
    "string": lambda: "ä" * LENGTH * 4,
    "no bytes": lambda: b"",
    "no numbers": lambda: np.empty(0),
    "no rows": lambda: np.empty((0, 5), np.int8),
    "no columns": lambda: np.empty((LENGTH, 0)).T,
    "nothing of much": lambda: numbers()[:0],
    "one number": lambda: np.array(1.5),
    "a scalar": lambda: np.float32(1.5),
    "no text": lambda: np.array([], "U0"),
    "no objects": lambda: np.array([], object),
    "no frame": lambda: frame().iloc[:0],
    "no table": lambda: table().slice(0, 0),
    "many empty ones": lambda: [np.empty(0) for _ in range(LENGTH)],
    "many small ones": lambda: [np.arange(10) for _ in range(LENGTH // 10)],
    "none": lambda: None,
}


def make(name: str) -> Any:
    """Make the value of a name, in a job."""
    return MAKERS[name]()


def facts(value: Any) -> Any:
    """Tell what may be changed of what a task, or a client, has got."""
    if isinstance(value, np.ndarray):
        return value.flags.writeable
    if isinstance(value, list):
        return [facts(one) for one in value]
    if isinstance(value, xr.DataArray):
        return facts(value.data)
    if sparse.issparse(value):
        return facts(value.data), facts(value.indices)
    return type(value)


def pass_on(value: Any) -> Any:
    """Give back what another task made, with the facts about it there."""
    return value, facts(value)
