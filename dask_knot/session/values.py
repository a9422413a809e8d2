"""Reads wanted values for the client: by range, several at once, small ones from memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Executor
from pickle import PickleBuffer
from threading import Lock
from typing import Any

from dask.typing import Key

from dask_knot.errors import (
    CorruptObjectError,
    MissingObjectError,
    NotLoadedError,
    StoreError,
)
from dask_knot.run import codec
from dask_knot.run.layout import neighbours
from dask_knot.run.manifest import Place
from dask_knot.run.run import Run

#: Manifests that are kept in memory, because they hold small values: the newest up to this size.
CACHE_BYTES = 256 * 2**20
#: Values above this size travel as buffers of their own.
APART_BYTES = 64 * 1024


class ValueReader:
    """Reads values of a run, and remembers the manifests that were read last.

    Parameters
    ----------
    run : Run
        Where values are.
    pool : Executor
        Reads ranges, several at once.
    """

    def __init__(self, run: Run, pool: Executor) -> None:
        self._run = run
        self._cache: OrderedDict[str, memoryview] = OrderedDict()
        self._cached = 0
        self._lock = Lock()  # the watcher's thread adds while others read
        self._pool = pool

    def remember(self, name: str, data: memoryview) -> None:
        """Keep a manifest that was read, for the values in it."""
        with self._lock:
            old = self._cache.pop(name, None)
            self._cached += data.nbytes - (old.nbytes if old is not None else 0)
            self._cache[name] = data
            while self._cached > CACHE_BYTES and len(self._cache) > 1:
                self._cached -= self._cache.popitem(last=False)[1].nbytes

    def forget(self, names: Sequence[str]) -> None:
        """Drop objects that were deleted."""
        with self._lock:
            for name in names:
                old = self._cache.pop(name, None)
                self._cached -= old.nbytes if old is not None else 0

    def at_hand(self, place: Place) -> memoryview | None:
        """Give the bytes at a place if they are in memory."""
        with self._lock:
            data = self._cache.get(place.name)
        return None if data is None else data[place.offset : place.offset + place.length]

    def read(self, place: Place) -> memoryview:
        """Give the bytes at a place; somebody waits for them, so without patience.

        Raises
        ------
        StoreError
            If they can't be read.
        """
        data = self.at_hand(place)
        if data is None:
            data = self._run.at_once().read_value(place)
        return data

    def read_each(self, places: Collection[Place]) -> dict[Place, memoryview | Exception]:
        """Give the bytes at some places, or why they can't be read; several are read at once."""
        return dict(zip(places, self._pool.map(self._read_or_error, places), strict=True))

    def _read_or_error(self, place: Place) -> memoryview | Exception:
        try:
            return self.read(place)
        except Exception as error:
            return error

    def read_values(
        self, places: Mapping[Key, Place]
    ) -> tuple[dict[Key, memoryview], dict[Key, StoreError]]:
        """Give the bytes of values, checked, and why some are lost.

        Raises
        ------
        StoreError
            If the store can't be asked at the moment: nothing is lost then.
        """
        found: dict[Key, memoryview] = {}
        lost: dict[Key, StoreError] = {}
        far = []
        for key, place in places.items():
            data = self.at_hand(place)
            if data is None:
                far.append((place, key))
                continue
            try:  # the manifest's own checksum is that of its index
                found[key] = _checked(data)
            except CorruptObjectError as error:
                lost[key] = _about(error, key)
        far.sort(key=lambda entry: entry[0])
        groups = neighbours([place for place, _ in far])
        wanted = [[far[number] for number in group] for group in groups]
        for group, read in zip(wanted, self._pool.map(self._read_group, wanted), strict=True):
            for (_, key), result in zip(group, read, strict=True):
                if isinstance(result, StoreError):
                    lost[key] = _about(result, key)
                else:
                    found[key] = result
        return found, lost

    def close(self) -> None:
        """End the threads that read."""
        self._pool.shutdown(cancel_futures=True)

    def _read_group(self, group: Sequence[tuple[Place, Key]]) -> list[memoryview | StoreError]:
        places = [place for place, _ in group]
        try:
            return [_checked(data) for data in self._run.read_neighbours(places)]
        except StoreError as error:
            if len(places) > 1:  # one damaged value must not take its neighbours along
                return [result for entry in group for result in self._read_group([entry])]
            if isinstance(error, MissingObjectError | CorruptObjectError):
                return [error]
            raise


def _about(error: StoreError, key: Key) -> StoreError:
    return type(error)(f"the value of {key!r} is lost: {error}")


def _checked(data: memoryview) -> memoryview:
    codec.check(data)
    return data


class EncodedValues:
    """Values on their way to a client: encoded as they were stored, decoded on unpickling there."""

    def __init__(self, values: Mapping[Key, memoryview]) -> None:
        self._values = values

    def __reduce__(self) -> tuple[Any, ...]:
        small = [data for data in self._values.values() if data.nbytes <= APART_BYTES]
        large = [PickleBuffer(d) for d in self._values.values() if d.nbytes > APART_BYTES]
        lengths = [data.nbytes for data in self._values.values()]
        return decode_values, (list(self._values), lengths, b"".join(small), *large)

    def decoded(self) -> dict[Key, Any]:
        """Decode them here."""
        return {key: _decoded(key, data) for key, data in self._values.items()}


def decode_values(
    keys: Sequence[Key], lengths: Sequence[int], small: bytes, *large: Any
) -> dict[Key, Any]:
    """Decode what `EncodedValues` carries.

    Raises
    ------
    NotLoadedError
        If a value needs a module, or something in it, that isn't here.
    """
    values: dict[Key, Any] = {}
    position, apart = 0, iter(large)
    view = memoryview(small)
    for key, length in zip(keys, lengths, strict=True):
        if length > APART_BYTES:
            values[key] = _decoded(key, next(apart))
        else:
            values[key] = _decoded(key, view[position : position + length])
            position += length
    return values


def _decoded(key: Key, data: memoryview) -> Any:
    try:
        return codec.decode(data, is_checked=True)
    except (ImportError, AttributeError) as error:
        raise NotLoadedError(
            f"the value of {key!r} is there, but can't be loaded here: {type(error).__name__}: "
            f"{error}. It was made where that module, or another version of it, is: put it beside "
            "this program, or install it"
        ) from error
