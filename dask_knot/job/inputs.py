"""The values that a shard reads: found through manifests, fetched ahead of the tasks by range."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from dask.typing import Key

from dask_knot.errors import CorruptObjectError, MissingObjectError, StoreError
from dask_knot.run import codec
from dask_knot.run.failure import Failure, describe, fail
from dask_knot.run.layout import ranges
from dask_knot.run.manifest import NOWHERE, Commit, Kind, Place
from dask_knot.run.names import ManifestId, ShardId
from dask_knot.run.run import Run
from dask_knot.run.work import ConstantPlace, ShardOutput, Source
from dask_knot.task.context import unpickling
from dask_knot.task.copies import OwnCopy

#: Bytes that are read at once, one range of each object, where it isn't known what a job may have.
WINDOW = 2**29
#: The part of a job's memory that these bytes may fill: while tasks work on what was read, the same
#: again is on its way; beside it stand the values of tasks, and what is to be written.
_PART = 8
#: So much is worth one request in any case; beyond the other, tasks only would wait for longer.
_LEAST_WINDOW, _MOST_WINDOW = 2**26, 2**30

#: What is so can't be read by another attempt either.
LOST = (MissingObjectError, CorruptObjectError)

#: An input on its way: what it is, and a call that waits for its bytes.
Read = tuple[Kind, Callable[[], memoryview]]
#: What was found out of an input, and its bytes if they are here already.
MadeOutput = tuple[Kind, Place, memoryview | None]
#: The same, or why it can't be read from where it was to be.
OutputOrError = MadeOutput | StoreError


class Inputs:
    """Inputs of one shard, fetched in the order in which its tasks need them.

    Parameters
    ----------
    run : Run
        Where they are.
    sources : mapping of Key to Source
        Per input its place, or the shard that makes it.
    window : int
        Bytes that are read at once, as one range of each object; as much again is read ahead.
    """

    def __init__(self, run: Run, sources: Mapping[Key, Source], window: int = WINDOW) -> None:
        self._run = run
        self._sources = sources
        self._window = window
        self._here: dict[Key, tuple[Kind, memoryview]] = {}
        self._reads: dict[Key, Read] = {}
        self._queue: dict[int, _Range] = {}  # not fetched yet, in order
        self._range_of: dict[Key, _Range] = {}
        self._outstanding = 0  # bytes of ranges that are fetched, and not taken altogether
        self._pool: ThreadPoolExecutor | None = None
        self._objects: dict[Key, str] = {}  # in which each stands

    def __contains__(self, key: Key) -> bool:
        return key in self._sources

    def start(self, order: Iterable[Key]) -> None:
        """Look all inputs up and begin to fetch them in `order`."""
        if not self._sources:
            return
        self._pool = ThreadPoolExecutor(self._run.reads_at_once, "dask-knot-inputs")
        found = self._look_up()
        apart = []
        for key in order:
            kind, place, data = found[key]
            if data is None:
                apart.append((key, kind, place))
            else:
                self._here[key] = (kind, data)
        for number, group in enumerate(ranges([place for _, _, place in apart], self._window)):
            found_there = [apart[place] for place in group]
            self._queue[number] = one = _Range(number, found_there)
            self._range_of |= dict.fromkeys((key for key, _, _ in found_there), one)
        self._fetch_ahead()

    def take(self, key: Key) -> Any:
        """Wait for an input: its value, or the Failure that stands for it.

        Of a constant it is what makes its value anew for each task.
        """
        try:
            kind, data = self._here.pop(key) if key in self._here else self._wait(key)
            source = self._sources[key]
            if isinstance(source, ConstantPlace):
                codec.check(data)
                return OwnCopy(key, codec.unframe(data), source.is_fixed)
            with unpickling():
                return Failure.decode(data) if kind is Kind.ERRED else codec.decode(data)
        except LOST as error:
            return _lost(error, key, self._objects[key])
        except StoreError:  # it is away: another attempt may succeed
            raise
        except (Exception, SystemExit) as error:  # unpickling runs user code: anything may come out
            return describe(error, key)

    def _wait(self, key: Key) -> tuple[Kind, memoryview]:
        found = self._range_of.pop(key)
        if found.number in self._queue:
            # Most often the next one; unless tasks before it are given up, or run later.
            self._fetch(found)
        kind, read = self._reads.pop(key)
        found.left -= 1
        if not found.left:
            self._outstanding -= found.length
        self._fetch_ahead()
        return kind, read()

    def close(self) -> None:
        """End the threads that fetch."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _look_up(self) -> dict[Key, MadeOutput]:
        assert self._pool is not None
        shards = sorted({s.shard for s in self._sources.values() if isinstance(s, ShardOutput)})
        read = dict(zip(shards, self._pool.map(self._read_manifest, shards), strict=True))
        found: dict[Key, MadeOutput] = {}
        for key, source in self._sources.items():
            if isinstance(source, Place | ConstantPlace):
                place = source if isinstance(source, Place) else source.place
                found[key] = (Kind.FINISHED, place, None)
            elif isinstance(source, Failure):
                found[key] = _failed(source)
            else:
                found[key] = self._find(key, source, read[source.shard])
        self._objects = {key: place.name for key, (_, place, _) in found.items()}
        return found

    def _find(
        self, key: Key, source: ShardOutput, made: Mapping[int, OutputOrError] | StoreError
    ) -> MadeOutput:
        # Not there: a value that only what was handed over reads, from an attempt that didn't know.
        left_out = MissingObjectError(f"{source.shard} ended without it")
        found = made if isinstance(made, StoreError) else made.get(source.ordinal, left_out)
        if isinstance(found, StoreError):
            return _failed(_lost(found, key, self._run.names.manifest(source.shard)))
        return found

    def _read_manifest(self, shard: ShardId) -> Mapping[int, OutputOrError] | StoreError:
        try:
            return _outputs(self._run.read_manifest(ManifestId(shard, None)))
        except LOST as error:
            return error  # trying again wouldn't help, as it may when the store is away

    def _fetch_ahead(self) -> None:
        while self._queue:
            following = next(iter(self._queue.values()))
            if self._outstanding and self._outstanding + following.length > 2 * self._window:
                return
            self._fetch(following)

    def _fetch(self, wanted: _Range) -> None:
        assert self._pool is not None
        del self._queue[wanted.number]
        self._outstanding += wanted.length
        places = [place for _, _, place in wanted.values]
        future = self._pool.submit(self._read, places)
        for number, (key, kind, _) in enumerate(wanted.values):
            self._reads[key] = (kind, partial(_pick, future, number))

    def _read(self, places: Sequence[Place]) -> list[memoryview | StoreError]:
        """Read a range; if it isn't all there, each value by itself."""
        try:
            return [*self._run.read_neighbors(places)]
        except LOST as error:
            if len(places) == 1:
                return [error]
        return [self._read([place])[0] for place in places]


class _Range:
    """Values that are read in one request: those that lie together in one object."""

    def __init__(self, number: int, values: Sequence[tuple[Key, Kind, Place]]) -> None:
        first, last = values[0][2], values[-1][2]
        self.number, self.values = number, values
        self.length = last.offset + last.length - first.offset
        self.left = len(values)


def window_within(memory: int) -> int:
    """Give the bytes that a job of some memory should read at once; 0 if that isn't known."""
    if not memory:
        return WINDOW
    return max(_LEAST_WINDOW, min(memory // _PART, _MOST_WINDOW))


def _pick(read: Future[list[memoryview | StoreError]], number: int) -> memoryview:
    found = read.result()[number]
    if isinstance(found, StoreError):
        raise found
    return found


def _outputs(commit: Commit) -> Mapping[int, OutputOrError]:
    made: dict[int, OutputOrError] = {
        output.ordinal: (output.kind, output.place, commit.inside(output.place))
        for output in commit.manifest.outputs
    }
    if commit.manifest.handed is not None:  # it was submitted before that was known
        made |= {ordinal: _elsewhere(commit.name) for ordinal in commit.manifest.handed.outputs}
    return made


def _elsewhere(name: str) -> StoreError:
    return MissingObjectError(f"its shard has handed it over to another one (see {name})")


def _failed(failure: Failure) -> MadeOutput:
    return Kind.ERRED, NOWHERE, memoryview(failure.encode())


def _lost(error: StoreError, key: Key, name: str) -> Failure:
    """Say that what a task reads can't be read any more; it may be made again."""
    text = f"the value of {key!r}, which this task reads, is lost: {error}"
    return replace(fail(type(error)(text), key), lost=(name,))
