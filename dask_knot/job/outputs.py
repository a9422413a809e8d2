"""The values that leave a shard: small ones in the manifest, large ones in objects before it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from dask.typing import Key

from dask_knot.errors import InternalError
from dask_knot.job.account import Account
from dask_knot.job.attempts import EarlierParts, is_twin
from dask_knot.job.machine import JobSite
from dask_knot.job.peak import PeakMemory
from dask_knot.job.typetable import TypeTable, memory_size
from dask_knot.job.usage import Usage
from dask_knot.run import codec
from dask_knot.run.codec import Bytes
from dask_knot.run.failure import Failure, describe, fail
from dask_knot.run.manifest import INLINE_BYTES, INSIDE, Handed, Kind, Manifest, Output, Place
from dask_knot.run.names import ManifestId, ShardId
from dask_knot.run.run import Run

#: Values that no manifest names: at this size they are committed as a part.
PENDING_BYTES = 256 * 2**20


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
        Which attempt of the child this is, from 1; a twin's commits nothing but the end.
    notes_errors : bool
        Whether errors are noted beside the last manifest, too.
    where : JobSite, optional
        Where this runs, and since when; not on AWS if None.

    Attributes
    ----------
    account : Account
        The tasks that ran since the manifest before.
    usage : Usage
        What they take.
    """

    def __init__(
        self,
        run: Run,
        shard: ShardId,
        keys: Sequence[Key],
        attempt: int,
        notes_errors: bool = False,
        where: JobSite | None = None,
    ) -> None:
        self._run = run
        self._shard = shard
        self._count = len(keys)
        self._ordinals: Mapping[Key, int] = {key: number for number, key in enumerate(keys)}
        self._handed: Handed | None = None
        self._is_told = True  # a manifest says what was handed over
        self._may_hand_over = not is_twin(attempt)
        self._attempt = attempt
        self._notes_errors = notes_errors
        self._committed: list[Output] = []
        self._parts = 0
        self._types = TypeTable()
        self._lost: dict[int, tuple[str, ...]] = {}
        self._moved: Counter[str] = Counter()
        self._outbox = run.outbox(shard, attempt)
        self._peak = PeakMemory()
        self._where = where or JobSite({})
        self._large: dict[int, Output] = {}
        self._large_size = 0
        self.usage = Usage(self._peak)
        self._clear()

    def _clear(self) -> None:
        self._new: list[Output] = []
        self._inline: list[Bytes] = []
        self._inline_size = 0
        self._failures: dict[int, tuple[Failure, Place]] = {}
        self.account = Account(self.usage)

    def __contains__(self, key: Key) -> bool:
        return key in self._ordinals

    @property
    def is_full(self) -> bool:
        """True when so much was written that it should be committed."""
        return self._large_size >= PENDING_BYTES

    @property
    def may_hand_over(self) -> bool:
        """True as long as nothing was, not even what was taken back; never for a twin."""
        return self._may_hand_over

    @property
    def has_handed(self) -> bool:
        """True if it isn't made here what some of the outputs are."""
        return self._handed is not None

    def ordinal(self, key: Key) -> int:
        """Give the number of an output."""
        return self._ordinals[key]

    def is_extra(self, key: Key) -> bool:
        """Tell whether a value leaves the shard only because what reads it was handed over."""
        return self._ordinals.get(key, 0) >= self._count

    def hand_over(self, handed: Handed, is_told: bool = False) -> None:
        """Make some of the outputs here no more, and extra ones instead."""
        self._handed, self._is_told, self._may_hand_over = handed, is_told, False
        extra = {key: self._count + number for number, key in enumerate(handed.extra)}
        self._ordinals = {**self._ordinals, **extra}

    def take_back(self) -> None:
        """Make all outputs here again, and none besides."""
        self._handed = None
        self._ordinals = {k: n for k, n in self._ordinals.items() if n < self._count}

    def recover(self, earlier: EarlierParts) -> None:
        """Take over what earlier attempts have committed, and handed over."""
        self._parts = earlier.next_part
        self._outbox = self._run.outbox(self._shard, self._attempt, self._parts)
        if earlier.handed is not None:
            self.hand_over(earlier.handed, is_told=True)
        for _, part, _ in earlier.parts:
            self._lost |= {ordinal: tuple(names) for ordinal, names in part.lost.items()}
            shift = self._types.recover(part.types)
            self._committed += [o._replace(type=o.type + shift) for o in part.outputs]

    def add(self, key: Key, value: object, start: float, stop: float) -> int | None:
        """Take a value, or the Failure in its place, for the next commit; tell its memory size.

        Raises
        ------
        StoreError
            If it can't be written.
        """
        ordinal = self._ordinals[key]
        if type(value) is Failure:
            self._add_failure(ordinal, value, (0, 0, start, stop))
            return None
        try:
            parts = codec.pickled(value)
        except (Exception, SystemExit) as error:  # pickling runs user code: anything may come out
            return self.add(key, describe(_unpicklable(error, key), key), start, stop)
        return self.add_pickled(key, value, parts, (start, stop))

    def add_pickled(
        self, key: Key, value: object, parts: list[Bytes], times: tuple[float, float]
    ) -> int:
        """Take a value of which there is a pickle already; tell its memory size."""
        ordinal, nbytes = self._ordinals[key], memory_size(value)
        facts = (nbytes, self._types.number(value), *times)
        size = codec.framed_size(parts)
        if size <= INLINE_BYTES:
            self._add_small(ordinal, Kind.FINISHED, codec.whole(parts), facts)
        else:
            self._outbox.add(ordinal, parts)
            self._large[ordinal] = Output(ordinal, Kind.FINISHED, Place(INSIDE, 0, size), *facts)
            self._large_size += size
        return nbytes

    def commit(self, final: bool, tells: bool = False, waits: bool = True) -> bool:
        """Write the manifest of what was added since the last one, and has arrived.

        Parameters
        ----------
        final : bool
            Whether this is the last one.
        tells : bool
            Whether to write, too, if there is only to tell which tasks ran.
        waits : bool
            Whether all that is under way has to arrive first.

        Returns
        -------
        bool
            Whether nothing is under way.

        Raises
        ------
        SupersededError
            If another attempt was faster.
        """
        if final:
            self._account_for_all()
        elif is_twin(self._attempt):
            return True
        places = self._outbox.arrived(waits)
        self._new += [self._large.pop(n)._replace(place=place) for n, place in places.items()]
        has_values = self._new or not self._is_told
        if not (final or has_values or (tells and self.account.work)):
            return not self._large
        if final and self._notes_errors and self._has_errors():
            self._run.note_erred(self._shard)
        self.usage.close_window()
        requests, moved = self._run.traffic()
        written = Manifest(
            final,
            self._attempt,
            self._all() if final else self._new,
            self._types.rows(),
            self.account.work,
            self.account.times.tobytes(),
            self.account.kinds.tobytes(),
            requests + Counter(put=1),
            moved - self._moved + Counter(written=self._inline_size),
            self._lost,
            self._peak.read(),
            self._where.machine,
            self._where.started,
            self._handed if final or not self._is_told else None,
            self.usage.reserved,
        )
        id = ManifestId(self._shard, None if final else self._parts)
        placed = self._run.write_manifest(id, written, self._inline)
        if placed is None:
            raise SupersededError(id)
        self._committed += placed[len(placed) - len(self._new) :]
        self._is_told = True
        self._parts += 1
        self._moved = self._run.traffic()[1]
        self._large_size = sum(output.place.length for output in self._large.values())
        self._clear()
        return not self._large

    def close(self) -> None:
        """Leave nothing half written of what isn't committed."""
        self._outbox.close()

    def _all(self) -> list[Output]:
        """Give all outputs: extra ones only if others were handed over that need them."""
        found = [*self._committed, *self._new]
        return found if self.has_handed else [o for o in found if o.ordinal < self._count]

    def _has_errors(self) -> bool:
        return any(o.kind is Kind.ERRED and o.ordinal < self._count for o in self._all())

    def _account_for_all(self) -> None:
        """Put an error in the place of outputs that no task gave: somebody waits for each."""
        there = {o.ordinal for o in (*self._committed, *self._new, *self._large.values())}
        there.update(self._handed.outputs if self._handed else ())
        now = time.time()
        for key, ordinal in self._ordinals.items():
            if ordinal not in there:
                text = f"{self._shard} of run {self._run.name} ran no task that makes {key!r}"
                self.add(key, fail(InternalError.of(LookupError(text)), key), now, now)

    def _add_small(
        self, ordinal: int, kind: Kind, data: Bytes, facts: tuple[int, int, float, float]
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


def _unpicklable(error: BaseException, key: Key) -> Exception:
    text = (
        f"the result of {key!r} can't leave its job, because pickling it raised "
        f"{type(error).__name__}: {error}. Return what is needed to make it, or use it in "
        "the same task"
    )
    unpicklable = TypeError(text)
    unpicklable.__cause__ = error
    return unpicklable
