"""Pickles values as Dask does, but arrays that repeat their memory at the size of that memory.

numpy writes out in full what it has broadcast: `da.ones` makes all of its blocks of one number.
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
    repeats = _Repeats(value)
    try:
        body = repeats.dump(_NamePickler, buffers)
        if not (_is_of_script(body) or cloudpickle.list_registry_pickle_by_value()):
            return body
        if not repeats.are_met:
            return None
    except Exception:  # functions that have no name, or what can't be pickled at all
        pass
    buffers.clear()
    try:
        body = repeats.dump(_ValuePickler, buffers)
    except Exception:  # Dask says so, or knows a way of its own
        return None
    return None if _SPAWNED in body else body


def _is_of_script(body: bytes) -> bool:
    return _SCRIPT in body or _SPAWNED in body


class _Repeats:
    """Pickles one value; `are_met` tells whether an array of it repeats its memory."""

    def __init__(self, value: object) -> None:
        numpy = _numpy()
        self._value = value
        self._array, self._masked = numpy.ndarray, numpy.ma.MaskedArray
        self._as_they_are = {id(array) for array in self._arrays(value, _DEEPEST)}
        self.are_met = False

    def dump(self, kind: Any, buffers: list[PickleBuffer]) -> bytes:
        file = io.BytesIO()
        pickler = kind(file, protocol=5, buffer_callback=buffers.append)
        pickler.reduce_as({self._array: self._reduce_array, self._masked: self._reduce_masked})
        pickler.dump(self._value)
        return file.getvalue()

    def _arrays(self, value: Any, depth: int) -> Iterator[Any]:
        kind = type(value)
        if kind is self._array or kind is self._masked:
            yield value
        elif depth and kind in _TAKEN_APART and len(value) <= _MOST:
            for item in [*value.values()] if kind is dict else [*value]:
                yield from self._arrays(item, depth - 1)

    def _reduce_array(self, array: Any) -> Any:
        if not _is_repeated(array):
            return array.__reduce_ex__(5)
        self.are_met = True
        once = array[tuple(slice(None) if stride else slice(1) for stride in array.strides)]
        repeated = [not stride for stride in array.strides]
        is_kept = id(array) in self._as_they_are
        return _repeat, (once, array.shape, repeated, array.flags.writeable, is_kept)

    def _reduce_masked(self, array: Any) -> Any:
        if not _is_repeated(array):
            return array.__reduce_ex__(5)
        data, mask = array.view(self._array), array._mask
        if id(array) in self._as_they_are:
            self._as_they_are |= {id(data), id(mask)}
        return _mask, (data, mask, array._fill_value, array._hardmask)


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
