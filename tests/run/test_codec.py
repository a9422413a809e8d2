"""Values come back as they went, without needless copies, or not at all."""

from __future__ import annotations

import math
import pickle
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_st

from dask_knot.errors import CorruptObjectError
from dask_knot.run import codec
from dask_knot.run.checksum import crc32

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.complex_numbers(allow_nan=False),
    st.text(),
    st.binary(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.dictionaries(st.text() | st.integers(), inner),
        st.sets(st.integers()),
    ),
    max_leaves=10,
)
SHAPES = numpy_st.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6)
DTYPES = st.one_of(
    numpy_st.scalar_dtypes(),
    numpy_st.byte_string_dtypes(),
    numpy_st.unicode_string_dtypes(),
    numpy_st.array_dtypes(numpy_st.integer_dtypes() | numpy_st.floating_dtypes(), max_size=3),
)
ARRAYS = DTYPES.flatmap(lambda dtype: numpy_st.arrays(dtype, SHAPES))


def whole(value: object) -> bytearray:
    """Encode a value into one writable buffer."""
    return bytearray(b"".join(codec.encode(value)))


def streamed(value: object) -> bytearray:
    """Encode a value as it is written piece by piece."""
    data = bytearray().join(codec.stream(codec.pickled(value)))
    return data + codec.sealed(crc32(data))


WAYS = pytest.mark.parametrize("way", [whole, streamed])


def arranged(array: np.ndarray[Any, Any], how: str) -> np.ndarray[Any, Any]:
    """Give an array another order in memory, the same values."""
    if how == "F":
        return np.asfortranarray(array)
    if how == "strided" and array.ndim:
        return np.repeat(array, 2, axis=0)[::2]
    if how == "reversed" and array.ndim:
        return array[::-1].copy()[::-1]
    return array


def native(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Forget the byte order, as numpy's own pickle does for some dtypes."""
    return array.astype(array.dtype.newbyteorder("="))


@given(VALUES)
def test_python_values_come_back(value: object) -> None:
    data = whole(value)
    assert codec.decode(data) == value
    assert codec.decode(bytes(data)) == value
    assert codec.size(codec.encode(value)) == len(data) == codec.framed_size(codec.pickled(value))


@given(ARRAYS, st.sampled_from(["C", "F", "strided", "reversed"]), st.booleans())
def test_arrays_come_back(array: np.ndarray[Any, Any], how: str, writable: bool) -> None:
    array = arranged(array, how)
    array.flags.writeable = writable
    expected = native(array)
    one, other = whole(array), streamed(array)
    for data in (one, bytes(one), memoryview(one).toreadonly(), other, bytes(other)):
        back = codec.decode(data)
        assert native(back).dtype == expected.dtype
        assert back.shape == array.shape
        # NaN of any kind and -0.0 included.
        assert native(back).tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", [">i2", ">f8", ">c16", "<u4"])
def test_the_byte_order_of_numbers_comes_back(dtype: str) -> None:
    assert codec.decode(whole(np.arange(5, dtype=dtype))).dtype == np.dtype(dtype)


@pytest.mark.parametrize("writable", [True, False])
@pytest.mark.parametrize("readonly_data", [True, False])
def test_arrays_are_writable_iff_they_were(writable: bool, readonly_data: bool) -> None:
    array = np.arange(1000.0)
    array.flags.writeable = writable
    data = whole(array)
    back = codec.decode(bytes(data) if readonly_data else data)
    assert back.flags.writeable == writable


@given(st.binary(max_size=200))
def test_bytes_of_every_kind_come_back(data: bytes) -> None:
    for value in (data, bytearray(data), pickle.PickleBuffer(data)):
        assert bytes(codec.decode(whole(value))) == data


def test_pickling_copies_no_array() -> None:
    array = np.zeros(100_000)
    parts = codec.pickled({"a": array})
    assert any(np.shares_memory(np.frombuffer(f, "u1"), array) for f in parts if len(f) > 1000)


@pytest.mark.parametrize("writable", [True, False])
@pytest.mark.parametrize("how", ["frames", "whole"])
def test_what_is_framed_can_be_changed_by_nobody(how: str, writable: bool) -> None:
    array = np.arange(100_000)
    view = array[:]
    view.flags.writeable = writable
    parts = codec.pickled(view)
    framed = codec.frame(parts) if how == "frames" else [codec.whole(parts)]
    array[:] = -1
    back = codec.decode(b"".join(framed))
    assert back.tolist() == [*range(100_000)]
    assert back.flags.writeable == writable
    assert codec.size(framed) == codec.framed_size(parts)


@pytest.mark.parametrize("writable", [True, False])
def test_decoding_a_writable_buffer_copies_no_array(writable: bool) -> None:
    array = np.arange(100_000)
    array.flags.writeable = writable
    data = whole([array])
    assert np.shares_memory(codec.decode(data)[0], np.frombuffer(data, "u1"))


def test_decoding_copies_no_array_that_is_readonly() -> None:
    array = np.arange(100_000)
    array.flags.writeable = False
    data = bytes(whole([array]))
    assert np.shares_memory(codec.decode(data)[0], np.frombuffer(data, "u1"))


def test_arrays_are_aligned() -> None:
    arrays = [np.arange(n, dtype=dtype) for n, dtype in [(3, "u1"), (5, "f8"), (7, "c16")]]
    data = whole(arrays)
    first = np.frombuffer(data, "u1").ctypes.data
    for array in codec.decode(data):
        assert (array.ctypes.data - first) % codec.ALIGNMENT == 0


def test_functions_of_main_go_by_value() -> None:
    factor = 3
    assert codec.decode(whole(lambda x: factor * x))(4) == 12


def test_what_pickling_raises_is_raised() -> None:
    with pytest.raises(TypeError, match="generator"):
        codec.encode(n for n in range(3))


@WAYS
@given(data=st.data())
def test_every_changed_byte_is_noticed(
    data: st.DataObject, way: Callable[[object], bytearray]
) -> None:
    good = way({"numbers": np.arange(20), "text": "words"})
    position = data.draw(st.integers(0, len(good) - 1))
    good[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CorruptObjectError):
        codec.decode(good)


@WAYS
def test_every_changed_byte_of_the_head_is_noticed(way: Callable[[object], bytearray]) -> None:
    good = way([np.arange(4), b"x"])
    for position in range(12 + 16):
        for bit in range(8):
            bad = bytearray(good)
            bad[position] ^= 1 << bit
            with pytest.raises(CorruptObjectError):
                codec.decode(bad)


@WAYS
def test_every_truncation_is_noticed(way: Callable[[object], bytearray]) -> None:
    good = way({"numbers": np.arange(20), "text": "words"})
    for length in range(len(good)):
        with pytest.raises(CorruptObjectError):
            codec.decode(good[:length])


@WAYS
def test_more_bytes_than_written_are_noticed(way: Callable[[object], bytearray]) -> None:
    with pytest.raises(CorruptObjectError, match="checksum"):
        codec.decode(way(math.pi) + b"\0")


def test_another_version_is_named() -> None:
    data = whole(math.pi)
    data[2] = codec.VERSION + 6
    with pytest.raises(
        CorruptObjectError, match=r"format 7 .* reads formats 1 and 2.*same version"
    ):
        codec.decode(data)


def test_what_is_checked_is_not_checked_again() -> None:
    data = whole("text")
    data[8] ^= 1  # in the checksum itself
    with pytest.raises(CorruptObjectError):
        codec.check(data)
    assert codec.decode(data, is_checked=True) == "text"


@given(st.binary(max_size=1000), st.integers(0, 2**32 - 1))
def test_all_checksums_are_those_of_zlib(data: bytes, before: int) -> None:
    assert crc32(data, before) == zlib.crc32(data, before)
    assert crc32(memoryview(data)) == zlib.crc32(data)
