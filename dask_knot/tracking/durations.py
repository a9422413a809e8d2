"""How long tasks take and how large values are, by key prefix, and where that is known from.

What a session has seen itself goes before what earlier sessions noted, and that before what Dask
assumes: none of them is averaged with another one. But while it has seen few tasks, it takes them
to spread as far, for their length, as earlier ones did. Code that was edited is other code: nothing
that was learned of the old one is known of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from enum import Enum

from dask.typing import Key
from dask.utils import key_split

from dask_knot.planning import Cost
from dask_knot.run.manifest import Work

#: Weight of what was known before, at each manifest: old numbers fade, as Dask's own averages do,
#: but not so fast that a spread can't be seen, when each shard has one task.
FADING = 0.8
#: So few tasks don't tell how far they spread.
FEW = 3.0
#: Nobody says it to less than so many seconds, and a task costs as much anyway.
SHORTEST = 0.01
#: What was said of tasks, and is off by less than this factor, was good enough.
OFF = 3.0
#: The code of tasks of which none is known.
NO_CODE = b""

#: A prefix, and the digest of the code of its tasks.
PrefixAndCode = tuple[str, bytes]


class KnownFrom(Enum):
    """Where it is known from how long a task takes; the first one that says something counts."""

    SAID = "given by dask.annotate(knot={'seconds': ...})"
    SESSION = "seen in this session"
    PROFILE = "seen in earlier sessions"
    DASK = "Dask's default"


@dataclass(frozen=True, slots=True)
class _Sums:
    """What a session has seen of tasks, or of values: fading sums."""

    count: float
    total: float
    squares: float = 0.0

    def faded(self, more: _Sums) -> _Sums:
        return _Sums(
            FADING * self.count + more.count,
            FADING * self.total + more.total,
            FADING * self.squares + more.squares,
        )

    @property
    def mean(self) -> float:
        return self.total / self.count

    def cost_after(self, earlier: Cost | None) -> Cost:
        """Give mean and deviation; of few tasks, the latter as wide as that of earlier ones."""
        variance = max(0.0, self.squares / self.count - self.mean**2)
        mean, deviation = max(0.0, self.mean), variance**0.5
        if earlier is not None and earlier.seconds and self.count < FEW:
            deviation = max(deviation, mean * earlier.deviation / earlier.seconds)
        return Cost(mean, deviation)


@dataclass(frozen=True, slots=True)
class Said:
    """What the user said of how long tasks take, of those of one prefix in a shard.

    Attributes
    ----------
    tasks, untold : int
        Of how many something was said, and of how many nothing.
    seconds : float
        What the former take in all.
    least, most : float
        What the shortest and the longest of them takes.
    """

    tasks: int
    untold: int
    seconds: float
    least: float
    most: float

    def mean(self, usual: float | None, correction: float | None) -> float | None:
        """Give the seconds of a task, as the planner has it: what was said goes first."""
        told = self.seconds
        if correction is not None:
            told = correction * max(told, SHORTEST * self.tasks)
        if not self.untold:
            return told / self.tasks
        return None if usual is None else (told + usual * self.untold) / (self.tasks + self.untold)


def said_of(keys: Sequence[Key], seconds: Mapping[Key, float]) -> dict[str, Said]:
    """Sum up what was said of single tasks, by prefix."""
    told: dict[str, list[float]] = {}
    for key in keys:
        if key in seconds:
            told.setdefault(key_split(key), []).append(seconds[key])
    count = Counter(key_split(key) for key in keys) if told else Counter[str]()
    return {
        prefix: Said(len(found), count[prefix] - len(found), sum(found), min(found), max(found))
        for prefix, found in told.items()
    }


class Durations:
    """Seconds per task, and bytes per value, for each key prefix, whose code may change.

    Attributes
    ----------
    means, nbytes : dict of str to float
        Seconds of a task, and bytes of a value, by prefix, as far as they are known.
    corrections : dict of str to float
        What tasks take, in what the user said of them, by prefix, where that is far off.
    """

    def __init__(self) -> None:
        self._peaks: dict[PrefixAndCode, int] = {}
        self.means: dict[str, float] = {}
        self.nbytes: dict[str, float] = {}
        self.corrections: dict[str, float] = {}
        self._codes: dict[str, bytes] = {}
        self._seen: dict[PrefixAndCode, _Sums] = {}
        self._sizes: dict[PrefixAndCode, _Sums] = {}
        self._earlier: dict[PrefixAndCode, Cost] = {}
        self._earlier_sizes: dict[PrefixAndCode, float] = {}
        self._defaults: dict[str, Cost] = {}
        # What tasks took of which the user had said something, and what was said, at most.
        self._truth: dict[PrefixAndCode, _Sums] = {}
        # What follows of these, by prefix: plans ask often, and little changes between two of them.
        self._costs: dict[str, Cost] = {}
        self._sources: dict[str, KnownFrom] = {}

    def copy(self) -> Durations:
        """Give the same, to learn more without a trace."""
        other = copy(self)
        for name, known in vars(self).items():
            setattr(other, name, dict(known))
        return other

    def costs(self) -> dict[str, Cost]:
        """Give what is known of how long tasks take."""
        return dict(self._costs)

    def sources(self) -> dict[str, KnownFrom]:
        """Tell of which prefixes it is known how long a task takes, and from where."""
        return dict(self._sources)

    @property
    def peaks(self) -> dict[str, int]:
        """The most memory that a job is known to have had while tasks ran, by their prefix."""
        found: dict[str, int] = {}
        for (prefix, code), peak in self._peaks.items():
            if code == self._codes.get(prefix, NO_CODE):
                found[prefix] = peak
        return found

    def need(self, prefix: str, peak: int) -> None:
        """Take it in that a job had so much memory, or needs more than it, while tasks ran."""
        kind = prefix, self._codes.get(prefix, NO_CODE)
        self._peaks[kind] = max(peak, self._peaks.get(kind, 0))

    def learn(self, work: Mapping[str, Work]) -> None:
        """Take in what one shard's tasks cost."""
        for prefix, cost in work.items():
            if not cost.tasks:
                continue
            kind = prefix, self._codes.get(prefix, NO_CODE)
            if cost.peak:
                self.need(prefix, cost.peak)
            _add(self._seen, kind, _Sums(cost.tasks, cost.seconds, cost.squares))
            if cost.values:
                _add(self._sizes, kind, _Sums(cost.values, cost.nbytes))
            self._settle(prefix)

    def compare(self, work: Mapping[str, Work], said: Mapping[str, Said]) -> list[str]:
        """Compare what tasks took with what was said of them; name prefixes that are off as of now.

        Which of a shard's tasks they are isn't known: what was said of any of them is granted.
        """
        found = []
        for prefix in sorted(said.keys() & work.keys()):
            cost, told = work[prefix], said[prefix]
            if not cost.tasks or told.untold:
                continue
            mean = cost.seconds / cost.tasks
            granted = max(told.least, min(mean, told.most), SHORTEST)
            more = _Sums(granted * cost.tasks, max(mean, SHORTEST) * cost.tasks)
            _add(self._truth, (prefix, NO_CODE), more)
            factor = self._truth[prefix, NO_CODE].mean
            if 1 / OFF <= factor <= OFF:
                self.corrections.pop(prefix, None)
                continue
            found += [] if prefix in self.corrections else [prefix]
            self.corrections[prefix] = factor
        return found

    def code(self, prefix: str) -> bytes:
        """Give the digest of the code that tasks of a prefix have now."""
        return self._codes.get(prefix, NO_CODE)

    def corrected(self, seconds: Mapping[Key, float]) -> Mapping[Key, float]:
        """Give what the user said of single tasks, by what was seen of how far that is off."""
        if not self.corrections:
            return seconds
        found = ((key, one, self.corrections.get(key_split(key))) for key, one in seconds.items())
        return {key: one if by is None else by * max(one, SHORTEST) for key, one, by in found}

    def meet(self, codes: Mapping[str, bytes]) -> None:
        """Take in a graph, whose tasks have that code, by prefix."""
        for prefix, code in codes.items():
            if self._codes.get(prefix) != code:
                self._codes[prefix] = code
                self._truth.pop((prefix, NO_CODE), None)
                self.corrections.pop(prefix, None)
                self._settle(prefix)

    def recall(
        self,
        costs: Mapping[PrefixAndCode, Cost],
        nbytes: Mapping[PrefixAndCode, float],
        peaks: Mapping[PrefixAndCode, int] | None = None,
    ) -> None:
        """Take in what earlier sessions noted; without a code it counts for tasks without one.

        What was recalled before stays: a run's own sessions come before others in its store.
        """
        self._earlier = {**costs, **self._earlier}
        self._earlier_sizes = {**nbytes, **self._earlier_sizes}
        for kind, peak in (peaks or {}).items():
            self._peaks[kind] = max(peak, self._peaks.get(kind, 0))
        for prefix in {prefix for prefix, _ in [*costs, *nbytes]}:
            self._settle(prefix)

    def assume(self, seconds: Mapping[str, float]) -> None:
        """Take in what Dask assumes of tasks whose prefix never ran."""
        self._defaults.update((prefix, Cost(one)) for prefix, one in seconds.items())
        for prefix in seconds:
            self._settle(prefix)

    def _settle(self, prefix: str) -> None:
        """Find out once more what is known of a prefix."""
        kind = prefix, self._codes.get(prefix, NO_CODE)
        seen, earlier = self._seen.get(kind), self._earlier.get(kind)
        known = (
            (KnownFrom.SESSION, seen.cost_after(earlier) if seen is not None else None),
            (KnownFrom.PROFILE, earlier),
            (KnownFrom.DASK, self._defaults.get(prefix)),
        )
        for of_prefix in (self._costs, self._sources, self.means):
            of_prefix.pop(prefix, None)
        for source, cost in known:
            if cost is not None:
                self._costs[prefix], self._sources[prefix] = cost, source
                self.means[prefix] = cost.seconds
                break
        sizes = self._sizes.get(kind)
        size = sizes.mean if sizes is not None else self._earlier_sizes.get(kind)
        if size is None:
            self.nbytes.pop(prefix, None)
        else:
            self.nbytes[prefix] = size


def _add(known: dict[PrefixAndCode, _Sums], kind: PrefixAndCode, more: _Sums) -> None:
    before = known.get(kind)
    known[kind] = more if before is None else before.faded(more)
