"""What a child has done and has to commit: what `dask_knot.job.outputs` keeps, without values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from dask.typing import Key
from dask.utils import key_split

from benchmarks.simulate.network import Traffic, write_seconds
from benchmarks.simulate.objects import SimulatedRun
from dask_knot.run.manifest import (
    INLINE_BYTES,
    INSIDE,
    NOWHERE,
    Handed,
    Kind,
    Manifest,
    Output,
    Place,
    Work,
)
from dask_knot.run.names import ManifestId, ShardId

_TYPES = ((b"", "object"),)
#: Bytes of an error that stands for a value.
_ERROR_BYTES = 500


class Ledger:
    """Collects what a shard has done, and commits it.

    Parameters
    ----------
    run : SimulatedRun
        Where manifests go.
    traffic : Traffic
        Counts what is written.
    shard : ShardId
        The shard.
    ordinals : mapping of Key to int
        Its outputs.
    sizes : mapping of Key to int
        The bytes of values.
    attempt : int
        Which attempt this is.

    Attributes
    ----------
    committed : list of Output
        What is in manifests.
    handed : Handed or None
        What the shard has given up.
    next_part : int
        The number of the next part.
    """

    def __init__(
        self,
        run: SimulatedRun,
        traffic: Traffic,
        shard: ShardId,
        ordinals: Mapping[Key, int],
        sizes: Mapping[Key, int],
        attempt: int,
    ) -> None:
        self._run = run
        self._traffic = traffic
        self._shard = shard
        self._ordinals = dict(ordinals)
        self._sizes = sizes
        self._attempt = attempt
        self.committed: list[Output] = []
        self.handed: Handed | None = None
        self.next_part = 0
        self._lost: dict[int, tuple[str, ...]] = {}
        self._is_news = False  # what was given up is told with the next part
        self._clear()

    def _clear(self) -> None:
        self._new: list[Output] = []
        self._inline = 0
        self._large = 0
        self._work: dict[str, Work] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._ordinals

    @property
    def is_waiting(self) -> bool:
        """Whether there are outputs to commit."""
        return bool(self._new)

    def recover(self, parts: Sequence[tuple[int, Manifest]]) -> None:
        """Take over the parts of earlier attempts, by their numbers."""
        for number, part in parts:
            self.committed += part.outputs
            self._lost |= {n: tuple(names) for n, names in part.lost.items()}
            self.next_part = max(self.next_part, number + 1)
            if part.handed is not None:
                self._give_up(part.handed)
        self._is_news = False

    def note(self, key: Key, start: float, stop: float, lost: tuple[str, ...] = ()) -> None:
        """Take in that a task has ended, or that it couldn't run for want of lost objects."""
        is_output = key in self._ordinals
        if not lost:
            self._count(key, stop - start, self._sizes.get(key, 0) if is_output else None)
        if is_output:
            self.add(key, start, stop, lost)

    def add(self, key: Key, start: float, stop: float, lost: tuple[str, ...] = ()) -> None:
        """Keep an output for the next commit."""
        ordinal, size = self._ordinals[key], self._sizes.get(key, 0)
        if lost:
            self._lost[ordinal] = lost
            place, kind, size = Place(INSIDE, self._inline, _ERROR_BYTES), Kind.ERRED, 0
            self._inline += _ERROR_BYTES
        elif size <= INLINE_BYTES:
            place, kind = Place(INSIDE, self._inline, size), Kind.FINISHED
            self._inline += size
        else:
            place, kind = NOWHERE._replace(offset=self._large, length=size), Kind.FINISHED
            self._large += size
        self._new.append(Output(ordinal, kind, place, size, 0, start, stop))

    def give_up(self, outputs: Sequence[int], tasks: Iterable[Key], extra: Sequence[Key]) -> None:
        """Note what the shard doesn't run any more, and whose values become outputs for that."""
        counts = Counter(_prefix(key) for key in tasks)
        self._give_up(Handed(list(outputs), dict(counts), list(extra)))

    def take_back(self) -> None:
        """Note that the shard runs all by itself after all."""
        assert self.handed is not None
        extra = {self._ordinals.pop(key) for key in self.handed.extra}
        self.handed = None
        self.committed = [one for one in self.committed if one.ordinal not in extra]
        self._new = [one for one in self._new if one.ordinal not in extra]

    def commit_seconds(self) -> float:
        """Give the seconds that writing it now takes."""
        numbers = self._run.numbers
        large = write_seconds(numbers, self._large) if self._large else 0.0
        return large + write_seconds(numbers, self._inline)

    def commit(self, is_final: bool) -> bool:
        """Commit what is new; tell whether nobody was faster."""
        data = self._run.names.data(self._shard, self._attempt, self.next_part)
        if self._large:
            self._traffic.put(self._large)
        id = ManifestId(self._shard, None if is_final else self.next_part)
        name = self._run.names.manifest(*id)
        self._traffic.put(self._inline)
        new = [
            one._replace(place=one.place._replace(name=name if _is_small(one) else data))
            for one in self._new
        ]
        handed = self.handed if is_final or self._is_news else None
        content = Manifest(
            is_final,
            self._attempt,
            [*self.committed, *new] if is_final else new,
            _TYPES,
            self._work,
            lost=self._lost,
            handed=handed,
        )
        if not self._run.commit(id, content, self._inline):
            return False
        self._is_news = False
        self.committed += new
        self.next_part += 1
        self._clear()
        return True

    def _give_up(self, handed: Handed) -> None:
        self.handed = handed
        self._is_news = True
        first = len(self._ordinals)
        self._ordinals |= {key: first + number for number, key in enumerate(handed.extra)}

    def _count(self, key: Key, seconds: float, nbytes: int | None) -> None:
        work = self._work.setdefault(_prefix(key), Work())
        work.tasks += 1
        work.seconds += seconds
        work.squares += seconds * seconds
        work.longest = max(work.longest, seconds)
        if nbytes is not None:
            work.values += 1
            work.nbytes += nbytes


def _is_small(output: Output) -> bool:
    return output.kind is Kind.ERRED or output.place.length <= INLINE_BYTES


def _prefix(key: Key) -> str:
    prefix: str = key_split(key)
    return prefix
