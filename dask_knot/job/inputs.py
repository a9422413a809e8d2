"""The values that a shard reads: found through manifests, fetched ahead of the tasks by range."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from dask.typing import Key

from dask_knot.errors import CorruptObjectError, MissingObjectError, StoreError
from dask_knot.run import codec
from dask_knot.run.failure import Failure, describe, fail
from dask_knot.run.layout import neighbours
from dask_knot.run.manifest import NOWHERE, Commit, Kind, Place
from dask_knot.run.names import ManifestId, ShardId
from dask_knot.run.run import Run
from dask_knot.run.work import ConstantPlace, ShardOutput, Source
from dask_knot.task.context import unpickling
from dask_knot.task.copies import OwnCopy

#: Requests under way at once; S3 serves one at about 50-100 MB/s.
AT_ONCE = 8
#: How many reads run ahead of the tasks, so that inputs don't fill the memory.
AHEAD = 16

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
    """

    def __init__(self, run: Run, sources: Mapping[Key, Source]) -> None:
        self._run = run
        self._sources = sources
        self._here: dict[Key, tuple[Kind, memoryview]] = {}
        self._reads: dict[Key, Read] = {}
        self._queue: deque[Sequence[tuple[Key, Kind, Place]]] = deque()
        self._pool: ThreadPoolExecutor | None = None
        self._objects: dict[Key, str] = {}  # in which each stands

    def __contains__(self, key: Key) -> bool:
        return key in self._sources

    def start(self, order: Iterable[Key]) -> None:
        """Look all inputs up and begin to fetch them in `order`."""
        if not self._sources:
            return
        self._pool = ThreadPoolExecutor(AT_ONCE, "dask-knot-inputs")
        found = self._look_up()
        apart = []
        for key in order:
            kind, place, data = found[key]
            if data is None:
                apart.append((key, kind, place))
            else:
                self._here[key] = (kind, data)
        for group in neighbours([place for _, _, place in apart]):
            self._queue.append([apart[number] for number in group])
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
        if key not in self._reads:
            # Most often the next one; unless tasks before it are given up, or run later.
            group = next(group for group in self._queue if any(key == k for k, _, _ in group))
            self._queue.remove(group)
            self._fetch(group)
        kind, read = self._reads.pop(key)
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
        left_out = MissingObjectError(f"shard {source.shard} ended without it")
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
        while self._queue and len(self._reads) < AHEAD:
            self._fetch(self._queue.popleft())

    def _fetch(self, group: Sequence[tuple[Key, Kind, Place]]) -> None:
        assert self._pool is not None
        future = self._pool.submit(self._run.read_neighbours, [place for _, _, place in group])
        for number, (key, kind, _) in enumerate(group):
            self._reads[key] = (kind, partial(_pick, future, number))


def _pick(read: Future[list[memoryview]], number: int) -> memoryview:
    return read.result()[number]


def _outputs(commit: Commit) -> Mapping[int, OutputOrError]:
    made: dict[int, OutputOrError] = {
        output.ordinal: (output.kind, output.place, commit.inside(output.place))
        for output in commit.manifest.outputs
    }
    if commit.manifest.handed is not None:  # it was submitted before that was known
        made |= {ordinal: _elsewhere(commit.name) for ordinal in commit.manifest.handed.outputs}
    return made


def _elsewhere(name: str) -> StoreError:
    return MissingObjectError(f"its shard has handed it over, as {name} says: another one makes it")


def _failed(failure: Failure) -> MadeOutput:
    return Kind.ERRED, NOWHERE, memoryview(failure.encode())


def _lost(error: StoreError, key: Key, name: str) -> Failure:
    """Say that what a task reads can't be read any more; it may be made again."""
    text = f"the value of {key!r}, which this task reads, is lost: {error}"
    return replace(fail(type(error)(text), key), lost=(name,))
