"""The catalog of a named run: outputs that its sessions have recorded, by the digest of their work.

Whoever takes one has it made by the shard that was recorded with it, whatever became of that. In
one session an output belongs to the key that made or took it first: that two keys have the same
digest doesn't mean, in Dask, that they have the same value (``pure=False``).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

from dask.typing import Key

from dask_knot.run.manifest import Place
from dask_knot.run.names import ShardId, StageId
from dask_knot.run.record import NO_DIGEST, Entry, PlanRecord, pieces


class Spot(NamedTuple):
    """An output in the catalog.

    Attributes
    ----------
    shard, ordinal : ShardId, int
        Which output it is of which shard.
    outputs, tasks, shards : int
        How many outputs and how many tasks that shard has, and how many shards its stage.
    digest : bytes, optional
        That of the work.
    memory : int, optional
        The bytes that the job of the shard has.
    """

    shard: ShardId
    ordinal: int
    outputs: int
    tasks: int
    shards: int
    digest: bytes | None
    memory: int | None = None


class Catalog:
    """Outputs of recorded plans, numbered through all of them.

    Parameters
    ----------
    is_used : bool
        False if nothing may be taken by its digest.
    """

    def __init__(self, is_used: bool = True) -> None:
        self._is_used = is_used
        self._books: list[_Book] = []
        self._bases: list[int] = []
        self._size = 0
        self._free: dict[bytes, int | list[int]] = {}
        self._taken: dict[Key, int] = {}
        self._places: dict[Key, Place] = {}
        self._lost: Set[ShardId] = frozenset()
        self._names: dict[Key, int] | None = None  # of foreign outputs that were wanted

    def add(self, entry: Entry) -> None:
        """Put in the catalog what another session, or an earlier one, has recorded."""
        if not isinstance(entry, PlanRecord):
            self._places.update(entry.places)
            return
        book = self._add_book(entry)
        digests = pieces(entry.digests)
        for output in reversed(range(len(digests))):  # of equal ones the first is taken first
            if digests[output] != NO_DIGEST:
                self._offer(digests[output], book.base + output)
        if self._names is not None:
            self._names.update(book.names())

    def add_own(self, record: PlanRecord) -> None:
        """Put in the catalog what this session makes: each output belongs to its key."""
        book = self._add_book(record)
        self._taken.update(zip(record.keys, range(book.base, self._size), strict=True))

    def knows_any_of(self, digests: Mapping[Key, bytes]) -> bool:
        """Tell whether any of some work may be in the catalog."""
        if not self._is_used:
            return False
        free = self._free and not self._free.keys().isdisjoint(digests.values())
        return free or (bool(self._taken) and not self._taken.keys().isdisjoint(digests))

    def has(self, key: Key, digest: bytes | None) -> bool:
        """Tell whether `take` would give something."""
        if digest is None or not self._is_used:
            return False
        number = self._taken.get(key)
        return digest in self._free or (number is not None and self._spot(number).digest == digest)

    def take(self, key: Key, digest: bytes | None) -> Spot | None:
        """Take what a key has, or an output that is nobody's in this session, if there is one."""
        while digest is not None and self.has(key, digest):
            number = self._taken.get(key)
            if number is None or self._spot(number).digest != digest:
                number = self._taken[key] = self._pop(digest)
            spot = self._spot(number)
            if spot.shard not in self._lost:
                return spot
            del self._taken[key]
        return None

    def named(self, key: Key) -> Spot | Place | None:
        """Give the newest output of that key that a client wanted, or where it was scattered to."""
        number = self._taken.get(key)
        if number is None:
            if self._names is None:
                self._names = {}
                for book in self._books:
                    self._names.update(book.names())
            number = self._names.get(key)
            if number is None:
                return self._places.get(key)
            self._take_out(self._spot(number).digest, number)
            self._taken[key] = number
        return self._spot(number)

    def knows(self, key: Key) -> bool:
        """Tell whether `named` would give something."""
        return self.named(key) is not None

    def forget(self, key: Key, shard: ShardId | None) -> None:
        """Let go of what a key has, if that shard was to make it: it doesn't."""
        number = self._taken.get(key)
        if number is not None and self._spot(number).shard == shard:
            del self._taken[key]
            if self._names is not None and self._names.get(key) == number:
                del self._names[key]

    def copy(self, lost: Set[ShardId]) -> Catalog:
        """Copy it, for a look ahead, without what some shards were to make."""
        copied = Catalog(self._is_used)
        copied._books, copied._bases = list(self._books), list(self._bases)
        copied._size, copied._lost = self._size, lost
        copied._free = {d: n if isinstance(n, int) else list(n) for d, n in self._free.items()}
        copied._taken, copied._places = dict(self._taken), dict(self._places)
        return copied

    def _add_book(self, record: PlanRecord) -> _Book:
        book = _Book(record, self._size)
        self._books.append(book)
        self._bases.append(self._size)
        self._size += len(record.keys)
        return book

    def _spot(self, number: int) -> Spot:
        book = self._books[bisect_right(self._bases, number) - 1]
        return book.spot(number - book.base)

    def _offer(self, digest: bytes, number: int) -> None:
        others = self._free.get(digest)
        if others is None:
            self._free[digest] = number
        elif isinstance(others, int):
            self._free[digest] = [others, number]
        else:
            others.append(number)

    def _pop(self, digest: bytes) -> int:
        numbers = self._free[digest]
        number = numbers if isinstance(numbers, int) else numbers.pop()
        if number is numbers or not numbers:
            del self._free[digest]
        return number

    def _take_out(self, digest: bytes | None, number: int) -> None:
        numbers = self._free.get(digest) if digest is not None else None
        if digest is None or numbers is None:
            return
        left = [] if isinstance(numbers, int) else numbers
        if isinstance(numbers, int) and numbers != number:
            return
        if number in left:
            left.remove(number)
        if not left:
            del self._free[digest]


class _Book:
    """The outputs of one recorded plan, and the number of the first."""

    def __init__(self, record: PlanRecord, base: int) -> None:
        self.base = base
        self._record = record
        self._starts = record.starts()
        self._stages = [0]
        for stage in record.stages:
            self._stages.append(self._stages[-1] + len(stage.outputs))

    def spot(self, output: int) -> Spot:
        """Say which output of which shard it is."""
        # Behind shards without outputs, which begin at the same number.
        place = bisect_right(self._starts, output) - 1
        stage = bisect_right(self._stages, place) - 1
        recorded = self._record.stages[stage]
        index = place - self._stages[stage]
        digest = self._record.digest(output)
        return Spot(
            ShardId(StageId(self._record.number, stage), index),
            output - self._starts[place],
            recorded.outputs[index],
            recorded.sizes[index],
            len(recorded.outputs),
            None if digest == NO_DIGEST else digest,
            recorded.memory,
        )

    def names(self) -> dict[Key, int]:
        """Number the outputs that clients asked for, by their keys."""
        keys: Sequence[Key] = self._record.keys
        return {keys[output]: self.base + output for output in self._record.wanted}
