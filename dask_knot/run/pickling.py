"""Pickles values as Dask does, but arrays with less copying than numpy's own pickles take.

numpy writes out in full what it has broadcast: `da.ones` makes all of its blocks of one number.
What isn't contiguous, such as the pieces of a rechunk, it copies into the pickle, and so it does
with times, memory maps and masked arrays: here their memory stands beside the pickle.
"""

from __future__ import annotations

import copyreg
import io
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import import_module
from pickle import PickleBuffer
from typing import Any

import cloudpickle

from dask_knot.run import scripts

#: Containers that Dask serializes item by item when a value goes to another process. What stands
#: in other objects is pickled with them there, and arrives as arrays that can be written to.
_TAKEN_APART = frozenset({list, tuple, set, frozenset, dict})
#: So deep, and so many items of each.
_DEEPEST, _MOST = 5, 256
#: Smaller arrays are left to numpy: to copy them costs less than to think about them.
SMALL_BYTES = 4096
_SCRIPT, _SPAWNED = (name.encode() for name in scripts.SCRIPTS)
Reducers = dict[type, Callable[[Any], Any]]


def dumps(value: object, buffer_callback: Callable[[PickleBuffer], Any]) -> bytes:
    """Pickle a value with its buffers out of band.

    Raises
    ------
    Exception
        Whatever pickling `value` raises.
    """
    buffers: list[PickleBuffer] = []
    body = _dumps(value, buffers) if "numpy" in sys.modules else None
    if body is None:
        buffers.clear()
        body = scripts.dumps(value, buffers.append)
    for buffer in buffers:
        buffer_callback(buffer)
    return body


def _dumps(value: object, buffers: list[PickleBuffer]) -> bytes | None:
    """Pickle by name what has one; None if it is left to the ways of Dask and of scripts."""
    arrays = _Arrays(value)
    try:
        body = arrays.dump(_NamePickler, buffers)
        if not (_is_of_script(body) or cloudpickle.list_registry_pickle_by_value()):
            return body
        if not arrays.are_met:
            return None
    except Exception:  # functions that have no name, or what can't be pickled at all
        pass
    buffers.clear()
    try:
        body = arrays.dump(_ValuePickler, buffers)
    except Exception:  # Dask says so, or knows a way of its own
        return None
    return None if _SPAWNED in body else body


def _is_of_script(body: bytes) -> bool:
    return _SCRIPT in body or _SPAWNED in body


class _Arrays:
    """Pickles one value; `are_met` tells whether numpy would have pickled an array otherwise."""

    def __init__(self, value: object) -> None:
        numpy = _numpy()
        self._value = _Raw(value) if _is_raw(value) else value
        self._array, self._masked, self._map = numpy.ndarray, numpy.ma.MaskedArray, numpy.memmap
        self._as_they_are = {id(array) for array in self._arrays(value, _DEEPEST)}
        self.are_met = False

    def dump(self, kind: Any, buffers: list[PickleBuffer]) -> bytes:
        file = io.BytesIO()
        pickler = kind(file, protocol=5, buffer_callback=buffers.append)
        reducers = {self._array: self._reduce_array, self._masked: self._reduce_masked}
        pickler.reduce_as({**reducers, self._map: self._reduce_map})
        pickler.dump(self._value)
        return file.getvalue()

    def _arrays(self, value: Any, depth: int) -> Iterator[Any]:
        kind = type(value)
        if kind is self._array or kind is self._masked or kind is self._map:
            yield value
        elif depth and kind in _TAKEN_APART and len(value) <= _MOST:
            for item in [*value.values()] if kind is dict else [*value]:
                yield from self._arrays(item, depth - 1)

    def _reduce_array(self, array: Any) -> Any:
        return self._reduced(array, id(array) in self._as_they_are)

    def _reduced(self, array: Any, is_kept: bool) -> Any:
        if _is_repeated(array):
            return self._reduce_repeated(array, is_kept)
        if array.nbytes < SMALL_BYTES or array.dtype.hasobject:
            return array.__reduce_ex__(5)
        whole = array if _is_whole(array) else _numpy().ascontiguousarray(array)
        self.are_met |= whole is not array
        if array.dtype.kind in "mM" and (whole.flags.writeable or is_kept):
            self.are_met = True  # times have no buffer
            return _with_dtype, (whole.view("i8"), array.dtype)
        return whole.__reduce_ex__(5)

    def _reduce_repeated(self, array: Any, is_kept: bool) -> Any:
        self.are_met = True
        once = array[tuple(slice(None) if stride else slice(1) for stride in array.strides)]
        repeated = [not stride for stride in array.strides]
        return _repeat, (once, array.shape, repeated, array.flags.writeable, is_kept)

    def _reduce_masked(self, array: Any) -> Any:
        is_kept = id(array) in self._as_they_are
        is_large = array.nbytes >= SMALL_BYTES and not array.dtype.hasobject
        if not _is_repeated(array) and not (is_kept and is_large):
            return array.__reduce_ex__(5)
        self.are_met = True
        data, mask = array.view(self._array), array._mask
        if is_kept:
            self._as_they_are |= {id(data), id(mask)}
        return _mask, (data, mask, array._fill_value, array._hardmask)

    def _reduce_map(self, array: Any) -> Any:
        """Pickle a memory map as Dask does: as an array, which is as writable as the map is."""
        if id(array) not in self._as_they_are or array.dtype.hasobject:
            return array.__reduce_ex__(5)
        self.are_met = True
        return self._reduced(array.view(self._array), is_kept=True)


class _Raw:
    """Bytes whose memory stands beside the pickle."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __reduce__(self) -> Any:
        return type(self._value), (PickleBuffer(self._value),)


class _NamePickler(pickle.Pickler):
    def reduce_as(self, reducers: Reducers) -> None:
        self.dispatch_table = {**copyreg.dispatch_table, **reducers}  # the quick way of pickle


class _ValuePickler(cloudpickle.Pickler):  # type: ignore[misc]
    def reduce_as(self, reducers: Reducers) -> None:
        self._reducers = [*reducers.items()]

    def reducer_override(self, value: Any) -> Any:
        kind = type(value)
        for other, reduce in self._reducers:
            if kind is other:
                return reduce(value)
        return super().reducer_override(value)


def _is_repeated(array: Any) -> bool:
    if 0 not in array.strides or not array.size or array.dtype.hasobject:
        return False
    sides = zip(array.strides, array.shape, strict=True)
    return any(length > 1 and not stride for stride, length in sides)


def _is_raw(value: object) -> bool:
    is_raw = type(value) is bytes or type(value) is bytearray
    return is_raw and len(value) >= SMALL_BYTES  # type: ignore[arg-type]


def _is_whole(array: Any) -> bool:
    """Tell whether an array has all of its memory, in whatever order its dimensions are."""
    if array.flags.c_contiguous or array.flags.f_contiguous:
        return True
    order = sorted(range(array.ndim), key=lambda side: -array.strides[side])
    return bool(array.transpose(order).flags.c_contiguous)


def _with_dtype(array: Any, dtype: Any) -> Any:
    return array.view(dtype)


def _repeat(
    once: Any, shape: Sequence[int], repeated: Sequence[bool], is_writable: bool, is_kept: bool
) -> Any:
    as_strided = _numpy().lib.stride_tricks.as_strided
    strides = [0 if again else stride for again, stride in zip(repeated, once.strides, strict=True)]
    array = as_strided(once, shape, strides, writeable=is_writable)
    return array if is_kept else array.copy()


def _mask(data: Any, mask: Any, fill_value: Any, is_hard: bool) -> Any:
    make = _numpy().ma.MaskedArray
    return make(data, mask, fill_value=fill_value, hard_mask=is_hard, copy=False)


@cache  # it is asked for with each value
def _numpy() -> Any:
    """Give what is imported already, or just now in another thread: nobody has to have it."""
    return import_module("numpy")
