"""Reads wanted values for the client: by range, several at once, small ones from memory."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future
from threading import Event, Lock
from typing import Any, TypeVar

from dask.typing import Key

from dask_knot.collector import paused_collector
from dask_knot.errors import (
    ClientMemoryError,
    CorruptObjectError,
    MissingObjectError,
    StoreError,
)
from dask_knot.run import codec
from dask_knot.run.layout import neighbors
from dask_knot.run.manifest import Place
from dask_knot.run.run import Run
from dask_knot.session.admission import Admission, refusal
from dask_knot.session.encoded import decoded_value

T = TypeVar("T")
#: Groups of values that are read at once, whatever the store takes.
MOST_AT_ONCE = 64
#: Manifests that are kept in memory, because they hold small values: the newest up to this size.
CACHE_BYTES = 256 * 2**20


class ClosedReaderError(RuntimeError):
    """The threads that read have ended, with their session."""


class ValueReader:
    """Reads values of a run, and remembers the manifests that were read last.

    Parameters
    ----------
    run : Run
        Where values are.
    pool : Executor
        Reads ranges, several at once.
    admission : Admission, optional
        Knows what memory there is for values.
    """

    def __init__(self, run: Run, pool: Executor, admission: Admission | None = None) -> None:
        self._run = run
        self._admission = admission or Admission()
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
        ClientMemoryError
            If they don't fit into memory.
        """
        found: dict[Key, memoryview] = {}
        lost: dict[Key, StoreError] = {}
        near, groups = self._sorted(places)
        for key, data in near.items():
            try:  # the manifest's own checksum is that of its index
                found[key] = _checked(data)
            except CorruptObjectError as error:
                lost[key] = _about(error, key)
        for group, read in zip(groups, self._spread(self._read_group, groups), strict=True):
            for (_, key), result in zip(group, read, strict=True):
                if isinstance(result, StoreError):
                    lost[key] = _about(result, key)
                else:
                    found[key] = result
        return found, lost

    @paused_collector()  # they may be many
    def load_values(
        self, places: Mapping[Key, Place], over: Event | None = None
    ) -> tuple[dict[Key, Any], dict[Key, StoreError]]:
        """Give values, and why some are lost.

        Each is decoded where it was read, so that no bytes are kept beside what they became.

        Parameters
        ----------
        places : mapping of Key to Place
            Where they are.
        over : Event, optional
            Set when nobody waits for them any more: what isn't begun then isn't read.

        Raises
        ------
        StoreError
            If the store can't be asked at the moment: nothing is lost then.
        ClientMemoryError
            If they don't fit into memory.
        NotLoadedError
            If one needs a module, or something in it, that isn't here.
        """
        values: dict[Key, Any] = {}
        lost: dict[Key, StoreError] = {}
        near, groups = self._sorted(places)
        for key, data in near.items():
            try:
                values[key] = decoded_value(key, data, is_checked=False)
            except CorruptObjectError as error:
                lost[key] = _about(error, key)
        try:
            for some, away in self._spread(self._load_group, groups, over):
                values |= some
                lost |= away
        except MemoryError as error:
            if isinstance(error, ClientMemoryError):
                raise
            raise refusal("the system has no more") from error
        return values, lost

    def close(self) -> None:
        """End the threads that read."""
        self._pool.shutdown(cancel_futures=True)

    def _sorted(
        self, places: Mapping[Key, Place]
    ) -> tuple[dict[Key, memoryview], list[list[tuple[Place, Key]]]]:
        """Tell what is in memory from what is to be read: group by group, each of them a range."""
        near: dict[Key, memoryview] = {}
        far: list[tuple[Place, Key]] = []
        for key, place in places.items():
            data = self.at_hand(place)
            if data is None:
                far.append((place, key))
            else:
                near[key] = data
        far.sort(key=lambda entry: entry[0])
        if not self._run.is_mapped:
            size = sum(place.length for place, _ in far)
            self._admission.check(size)
        return near, [[far[n] for n in group] for group in neighbors([place for place, _ in far])]

    def _spread(
        self, call: Callable[[Any], T], work: Sequence[Any], over: Event | None = None
    ) -> Iterator[T]:
        """Call something with each of several things, so many at once as the store takes."""
        under_way: deque[Future[T]] = deque()
        most = min(self._run.reads_at_once, MOST_AT_ONCE)
        left = iter(work)
        try:
            while over is None or not over.is_set():
                while len(under_way) < most and (one := next(left, None)) is not None:
                    under_way.append(self._submit(call, one))
                if not under_way:
                    return
                yield under_way.popleft().result()
        except CancelledError as error:
            raise ClosedReaderError from error
        finally:
            for future in under_way:
                future.cancel()

    def _submit(self, call: Callable[[Any], T], one: Any) -> Future[T]:
        try:
            return self._pool.submit(call, one)
        except RuntimeError as error:
            if "new thread" in str(error):  # nor has its stack any room
                raise refusal("the system has no more for threads") from error
            raise ClosedReaderError from error

    def _load_group(
        self, group: Sequence[tuple[Place, Key]]
    ) -> tuple[dict[Key, Any], dict[Key, StoreError]]:
        values: dict[Key, Any] = {}
        lost: dict[Key, StoreError] = {}
        is_mapped = self._run.is_mapped
        if not is_mapped:
            self._admission.take(sum(place.length for place, _ in group))
        for (_, key), data in zip(group, self._read_group(group), strict=True):
            if isinstance(data, StoreError):
                lost[key] = _about(data, key)
                continue
            # What is mapped takes no memory; what comes of a pickle does, here as there.
            self._admission.take(codec.pickle_size(data))
            values[key] = decoded_value(key, data)
        return values, lost

    def _read_group(self, group: Sequence[tuple[Place, Key]]) -> list[memoryview | StoreError]:
        places = [place for place, _ in group]
        try:
            return [_checked(data) for data in self._run.read_neighbors(places)]
        except StoreError as error:
            if len(places) > 1:  # one damaged value must not take its neighbors along
                return [result for entry in group for result in self._read_group([entry])]
            if isinstance(error, MissingObjectError | CorruptObjectError):
                return [error]
            raise


def _about(error: StoreError, key: Key) -> StoreError:
    return type(error)(f"the value of {key!r} is lost: {error}")


def _checked(data: memoryview) -> memoryview:
    codec.check(data)
    return data
