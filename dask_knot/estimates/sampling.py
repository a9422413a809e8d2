"""The tasks that are tried: of each prefix from the smallest to the largest, and what they need."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dask.typing import Key
from dask.utils import key_split

#: Tasks that may have to run for those of one prefix, for each of these: a whole graph is no trial.
MOST_BEFORE = 2
#: The same as a part of all tasks: what is left is worth knowing.
PART = 20
#: Bytes that differ by less than this factor, or are so few, say nothing of how long a task takes.
TELLING_FACTOR = 1.2
TELLING_BYTES = 4096

NEEDS_TOO_MUCH = "needs too much of the graph to be sampled"
NEEDS_OTHERS = "reads values that were computed earlier"


class Extent(NamedTuple):
    """How much a task has to do, as far as that can be seen: over all that it reads.

    Attributes
    ----------
    nbytes : float
        Bytes of its arguments, and of files that they name.
    number : float
        The sum of the first of its arguments that is a number.
    """

    nbytes: float = 0.0
    number: float = 0.0


@dataclass(frozen=True, slots=True)
class Sampling:
    """What is tried.

    Attributes
    ----------
    chosen : mapping of str to sequence of Key
        Of each prefix, from the smallest to the largest.
    tasks : sequence of Key
        All that has to run for them, in the order of the graph.
    left_out : mapping of str to str
        Prefixes of which none is tried, and why.
    """

    chosen: Mapping[str, Sequence[Key]]
    tasks: Sequence[Key]
    left_out: Mapping[str, str]


def abscissas(extents: Sequence[Extent]) -> list[float]:
    """Give what tasks of one prefix are told apart by: bytes, else numbers, else their places."""
    for values, least in (
        ([one.nbytes for one in extents], TELLING_BYTES),
        ([one.number for one in extents], 0.0),
    ):
        low, high = min(values), max(values)
        if high > least and (high > TELLING_FACTOR * low if least else high > low):
            return values
    return [*map(float, range(len(extents)))]


def spread_ranks(count: int, total: int) -> list[int]:
    """Give so many ranks of so many, evenly from the first to the last; of one the middle.

    >>> spread_ranks(3, 100), spread_ranks(1, 100), spread_ranks(5, 2)
    ([0, 50, 99], [49], [0, 1])
    """
    if count >= total:
        return [*range(total)]
    if count == 1:
        return [(total - 1) // 2]
    return [round(rank * (total - 1) / (count - 1) + 1e-9) for rank in range(count)]


def by_prefix(keys: Iterable[Key]) -> dict[str, list[Key]]:
    """Sort keys by their prefix, in the order in which they come."""
    found: dict[str, list[Key]] = {}
    for key in keys:
        found.setdefault(key_split(key), []).append(key)
    return found


def choose_samples(
    reads: Mapping[Key, Collection[Key]],
    extents: Mapping[Key, Extent],
    is_there: Callable[[Key], bool],
    count: int = 3,
) -> Sampling:
    """Choose the tasks of a graph that are tried.

    Parameters
    ----------
    reads : mapping of Key to collection of Key
        Every task but constants, and what it reads, constants among it.
    extents : mapping of Key to Extent
        Those of which some are to be tried, and how much each has to do.
    is_there : callable
        Whether something that is no task of the graph can be read in a trial, as constants can.
    count : int
        How many of each prefix.
    """
    closure = _Closure(reads, is_there)
    chosen: dict[str, tuple[Key, ...]] = {}
    left_out: dict[str, str] = {}
    most = max(MOST_BEFORE * count, len(reads) // PART)
    for prefix, keys in by_prefix(extents).items():
        places = abscissas([extents[key] for key in keys])
        ranked = [keys[at] for at in sorted(range(len(keys)), key=places.__getitem__)]
        spread = [ranked[rank] for rank in spread_ranks(count, len(keys))]
        found = [key for key in spread if closure.add(key, most)]
        if found:
            chosen[prefix] = tuple(found)
        else:
            left_out[prefix] = closure.why
    return Sampling(chosen, [key for key in reads if key in closure.tasks], left_out)


class _Closure:
    """The tasks that are tried, and all that they need."""

    def __init__(
        self, reads: Mapping[Key, Collection[Key]], is_there: Callable[[Key], bool]
    ) -> None:
        self._reads = reads
        self._is_there = is_there
        self.tasks: set[Key] = set()
        self.why = ""

    def add(self, key: Key, most: int) -> bool:
        """Add a task with what it needs, unless that is more than so many, or can't be read."""
        new: set[Key] = set()
        stack = [key]
        while stack:
            one = stack.pop()
            if one in new or one in self.tasks:
                continue
            if one not in self._reads:
                if self._is_there(one):
                    continue
                self.why = NEEDS_OTHERS
                return False
            new.add(one)
            if len(new) > most:
                self.why = NEEDS_TOO_MUCH
                return False
            stack += self._reads[one]
        self.tasks |= new
        return True
