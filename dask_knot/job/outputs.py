"""The values that leave a shard: small ones in the manifest, large ones in one object before it."""

from __future__ import annotations

import platform
import time
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence

from dask.typing import Key
from dask.utils import key_split, typename
from distributed.protocol import pickle
from distributed.sizeof import safe_sizeof

from dask_knot.errors import InternalError
from dask_knot.job.peak import PeakMemory
from dask_knot.run import codec
from dask_knot.run.codec import Bytes
from dask_knot.run.failure import Failure, describe, fail
from dask_knot.run.manifest import INLINE_BYTES, INSIDE, Kind, Manifest, Output, Place, Work
from dask_knot.run.names import ManifestId, ShardId
from dask_knot.run.run import Run

#: Values waiting to be written: at this size they are committed as a part.
PENDING_BYTES = 256 * 2**20
#: No value says that it has more bytes than fit into the number that says so.
LARGEST = 2**63 - 1


class SupersededError(Exception):
    """Another attempt of the same child has committed; this one must stop."""


class Outputs:
    """Collects a shard's outcomes and commits them.

    Parameters
    ----------
    run : Run
        Where they go.
    shard : ShardId
        The shard.
    keys : sequence of Key
        The shard's outputs.
    attempt : int
        Which attempt of the child this is, from 1.
    notes_errors : bool
        Whether errors are noted beside the last manifest, too.
    """

    def __init__(
        self,
        run: Run,
        shard: ShardId,
        keys: Sequence[Key],
        attempt: int,
        notes_errors: bool = False,
    ) -> None:
        self._run = run
        self._shard = shard
        self._ordinals: Mapping[Key, int] = {key: number for number, key in enumerate(keys)}
        self._attempt = attempt
        self._notes_errors = notes_errors
        self._committed: list[Output] = []
        self._parts = 0
        self._types: dict[type, int] = {}
        self._recovered_types: list[tuple[bytes, str]] = []
        self._lost: dict[int, tuple[str, ...]] = {}
        self._moved: Counter[str] = Counter()
        self._peak = PeakMemory()
        self._clear()

    def _clear(self) -> None:
        self._new: list[Output] = []
        self._inline: list[bytes] = []
        self._inline_size = 0
        self._large: list[tuple[Output, list[Bytes]]] = []
        self._large_size = 0
        self._failures: dict[int, tuple[Failure, Place]] = {}
        self._work: dict[str, Work] = {}
        self._times = array("d")
        self._kinds = array("I")
        self._places: dict[str, int] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._ordinals

    @property
    def is_full(self) -> bool:
        """True when so much waits to be written that it should be committed."""
        return self._large_size >= PENDING_BYTES

    def recover(self, parts: Sequence[Manifest], first: int) -> None:
        """Take over what an earlier attempt has committed; parts from `first` on are new."""
        self._parts = first
        for part in parts:
            self._lost |= {ordinal: tuple(names) for ordinal, names in part.lost.items()}
            shift = len(self._recovered_types)
            self._recovered_types += part.types
            self._committed += [o._replace(type=o.type + shift) for o in part.outputs]

    def note(
        self, key: Key, start: float, stop: float, nbytes: int | None = None, erred: bool = False
    ) -> None:
        """Count a task that ran; one whose value leaves the shard says how large that is."""
        prefix = key_split(key)
        work = self._work.get(prefix)
        if work is None:
            self._places[prefix] = len(self._work)
            work = self._work[prefix] = Work()
        self._times.extend((start, stop))
        self._kinds.append(2 * self._places[prefix] + erred)
        work.tasks += 1
        seconds = stop - start
        work.seconds += seconds
        work.squares += seconds * seconds
        work.longest = max(work.longest, seconds)
        work.erred += erred
        if nbytes is not None:
            work.values += 1
            work.nbytes += nbytes

    def add(self, key: Key, value: object, start: float, stop: float) -> int | None:
        """Keep a value, or the Failure in its place, for the next commit; tell its memory size."""
        ordinal = self._ordinals[key]
        if type(value) is Failure:
            self._add_failure(ordinal, value, (0, 0, start, stop))
            return None
        nbytes = _nbytes(value)
        try:
            parts = codec.pickled(value)
        except (Exception, SystemExit) as error:  # pickling runs user code: anything may come out
            return self.add(key, describe(_unpicklable(error, key), key), start, stop)
        facts = (nbytes, self._type(value), start, stop)
        size = codec.framed_size(parts)
        if size <= INLINE_BYTES:
            self._add_small(ordinal, Kind.FINISHED, b"".join(codec.frame(parts)), facts)
        else:
            output = Output(ordinal, Kind.FINISHED, Place(INSIDE, 0, size), *facts)
            self._large.append((output, parts))
            self._large_size += size
        return nbytes

    def commit(self, final: bool) -> None:
        """Write what was added since the last commit; the manifest goes last.

        Raises
        ------
        SupersededError
            If another attempt was faster.
        """
        if final:
            self._account_for_all()
        if not (final or self._new or self._large):
            return
        self._write_large(are_tasks_over=final)
        if final and self._notes_errors and self._has_errors():
            self._run.note_erred(self._shard)
        requests, moved = self._run.traffic()
        written = Manifest(
            final,
            self._attempt,
            [*self._committed, *self._new] if final else self._new,
            self._type_table(),
            self._work,
            self._times.tobytes(),
            self._kinds.tobytes(),
            requests + Counter(put=1),
            moved - self._moved + Counter(written=self._inline_size),
            self._lost,
            self._peak.read(),
            platform.node(),
        )
        id = ManifestId(self._shard, None if final else self._parts)
        placed = self._run.write_manifest(id, written, self._inline)
        if placed is None:
            raise SupersededError(id)
        self._committed += placed[len(placed) - len(self._new) :]
        self._parts += 1
        self._moved = self._run.traffic()[1]
        self._clear()

    def _has_errors(self) -> bool:
        return any(output.kind is Kind.ERRED for output in (*self._committed, *self._new))

    def _account_for_all(self) -> None:
        """Put an error in the place of outputs that no task gave: somebody waits for each."""
        there = {o.ordinal for o in (*self._committed, *self._new, *(o for o, _ in self._large))}
        now = time.time()
        for key, ordinal in self._ordinals.items():
            if ordinal not in there:
                text = f"shard {self._shard} of {self._run.name} ran no task that makes {key!r}"
                self.add(key, fail(InternalError.of(LookupError(text)), key), now, now)

    def _add_small(
        self, ordinal: int, kind: Kind, data: bytes, facts: tuple[int, int, float, float]
    ) -> None:
        place = Place(INSIDE, self._inline_size, len(data))
        self._new.append(Output(ordinal, kind, place, *facts))
        self._inline.append(data)
        self._inline_size += len(data)

    def _add_failure(
        self, ordinal: int, failure: Failure, facts: tuple[int, int, float, float]
    ) -> None:
        """Keep one copy of a failure, however many tasks it kept from running."""
        if failure.lost:
            self._lost[ordinal] = failure.lost
        known = self._failures.get(id(failure))
        if known is None:
            self._add_small(ordinal, Kind.ERRED, failure.encode(), facts)
            self._failures[id(failure)] = (failure, self._new[-1].place)
        else:
            self._new.append(Output(ordinal, Kind.ERRED, known[1], *facts))

    def _write_large(self, are_tasks_over: bool) -> None:
        if not self._large:
            return
        # A task that runs meanwhile may change what it reads: what is written must be what the
        # checksum was taken of. Not where so much waits that a second copy might not fit.
        is_copied = not (are_tasks_over or self.is_full)
        values = {o.ordinal: _copies(parts) if is_copied else parts for o, parts in self._large}
        places = self._run.write_data(self._shard, self._parts, self._attempt, values)
        self._new += [o._replace(place=places[o.ordinal]) for o, _ in self._large]

    def _type(self, value: object) -> int:
        kind = type(value)
        return len(self._recovered_types) + self._types.setdefault(kind, len(self._types))

    def _type_table(self) -> list[tuple[bytes, str]]:
        return [
            *self._recovered_types,
            *((_pickled_type(kind), typename(kind)) for kind in self._types),
        ]


def _copies(parts: list[Bytes]) -> list[Bytes]:
    """Copy what may change."""
    return [part if memoryview(part).readonly else bytearray(part) for part in parts]


def _nbytes(value: object) -> int:
    """Tell how large a value is in memory, as far as it knows that itself: users' code runs."""
    nbytes = safe_sizeof(value)
    return min(max(int(nbytes), 0), LARGEST)


def _pickled_type(kind: type) -> bytes:
    try:
        return bytes(pickle.dumps(kind))
    except Exception:  # a type that only lives in the job: the future's type is for show
        return bytes(pickle.dumps(object))


def _unpicklable(error: BaseException, key: Key) -> Exception:
    text = (
        f"the result of {key!r} can't leave its job, because pickling it raised "
        f"{type(error).__name__}: {error}. Return what it is made from, or use it in the same task"
    )
    unpicklable = TypeError(text)
    unpicklable.__cause__ = error
    return unpicklable
