"""Memory that tasks turned out to need: more than was asked for, by prefix and code.

A shard whose child ran out of memory says how much its tasks need at least: twice as much is tried
next. It isn't kept for that shard, but for the prefixes that it had left; whatever is planned from
then on is given it. So the shard itself, its siblings that are planned later, stages that are taken
back and other graphs all come by it in one way: `MemoryNeeds.applied`.

Which of several prefixes in a shard it was isn't known: all that were left of it are given more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, replace

from dask.typing import Key
from dask.utils import key_split

from dask_knot.planning import Resources
from dask_knot.tracking.automatic import AutomaticMemory
from dask_knot.tracking.drafts import Draft
from dask_knot.tracking.durations import Durations, PrefixAndCode


def as_asked(needs: Resources) -> Resources:
    """Give jobs of any size: the platform has all of them."""
    return needs


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much more memory jobs may be given than was asked for.

    Attributes
    ----------
    retries : int
        How often a task is given twice as much, at most; 0 turns it off.
    most : int, optional
        The bytes of a job, at most; None if there is no bound.
    fitting : callable
        Gives the smallest job that there is with what it is given; None if there is none.
    """

    retries: int = 0
    most: int | None = None
    fitting: Callable[[Resources], Resources | None] = as_asked

    def more(self, had: Resources, base: int) -> int | None:
        """Give the memory of the next try; None if there is none.

        Parameters
        ----------
        had : Resources
            The job that had too little.
        base : int
            What was asked for, or known to be needed, at first: it is doubled so often at most.
        """
        if had.memory is None or not self.retries:
            return None
        bound = base << self.retries
        memory = min(2 * had.memory, bound if self.most is None else min(bound, self.most))
        if memory <= had.memory or self.fitting(replace(had, memory=memory)) is None:
            return None
        return memory

    def words(self, had: int) -> str:
        """Say why there is no next try."""
        if self.most is not None and had >= self.most:
            return "and no job may have more here (knot.max-memory, or what is available)"
        return f"doubled as often as allowed (knot.memory-retries: {self.retries})"


class MemoryNeeds:
    """What jobs of tasks need, where that is more than was asked for.

    Attributes
    ----------
    allowance : Allowance
        How much they may be given.
    automatic : AutomaticMemory or None
        Chooses what is asked for, where the user leaves that to us.
    """

    def __init__(self) -> None:
        self.allowance = Allowance()
        self.automatic: AutomaticMemory | None = None
        self._seen: dict[PrefixAndCode, int] = {}
        self._recalled: dict[PrefixAndCode, int] = {}
        # What tasks ran with that had run out of less; what was too little.
        self._enough: dict[PrefixAndCode, int] = {}
        self._short: dict[PrefixAndCode, int] = {}

    def allow(self, allowance: Allowance) -> None:
        """Let jobs be given so much from now on."""
        self.allowance = allowance

    def copy(self) -> MemoryNeeds:
        """Give the same, to learn more without a trace."""
        other = copy(self)
        for name in ("_seen", "_recalled", "_enough", "_short"):
            setattr(other, name, dict(getattr(self, name)))
        other.automatic = None if self.automatic is None else self.automatic.copy()
        return other

    @property
    def is_any(self) -> bool:
        """Something is known."""
        return bool(self._seen or self._recalled)

    def recall(self, memory: Mapping[PrefixAndCode, int]) -> None:
        """Take in what jobs needed in earlier sessions; what was recalled before stays."""
        self._recalled = {**memory, **self._recalled}

    def known(self) -> dict[PrefixAndCode, int]:
        """Give the bytes that jobs of tasks need, as far as that is more than was asked for."""
        kinds = self._seen.keys() | self._recalled.keys() if self.allowance.retries else ()
        return {kind: self._need(kind) for kind in kinds}

    def enough(self) -> dict[PrefixAndCode, int]:
        """Give the bytes with which tasks ran that had run out of less."""
        return dict(self._enough)

    def short(self) -> dict[PrefixAndCode, int]:
        """Give the bytes that tasks ran out of."""
        return dict(self._short)

    def base(self, asked: int, kinds: Iterable[PrefixAndCode]) -> int:
        """Give what tasks begin with: what was asked for, or what earlier sessions know."""
        return max([asked, *(self._recalled.get(kind, 0) for kind in kinds)])

    def grow(self, kinds: Iterable[PrefixAndCode], had: int, memory: int) -> bool:
        """Note that jobs had too little memory, and need more; tell whether that is new."""
        is_new = False
        for kind in kinds:
            self._short[kind] = max(self._short.get(kind, 0), had)
            if self._need(kind) < memory:
                self._seen[kind] = memory
                is_new = True
        return is_new

    def give_up(self, kinds: Iterable[PrefixAndCode], had: int) -> None:
        """Note that a task ran out of all that it may have: of its siblings that says nothing."""
        for kind in kinds:
            self._short[kind] = max(self._short.get(kind, 0), had)
            if kind in self._enough:
                self._seen[kind] = self._enough[kind]
            else:
                self._seen.pop(kind, None)

    def note(self, kinds: Iterable[PrefixAndCode], memory: int | None) -> None:
        """Note that tasks ran in a job of so much memory."""
        for kind in kinds:
            if memory is not None and 0 < self._need(kind) <= memory:
                self._enough[kind] = self._need(kind)

    def applied(self, asked: Resources, kinds: Iterable[PrefixAndCode]) -> Resources:
        """Give the size of job that tasks need, instead of the one that was asked for."""
        if asked.memory is None or not self.allowance.retries:
            return asked
        memory = max((self._need(kind) for kind in kinds), default=0)
        if self.allowance.most is not None:
            memory = min(memory, self.allowance.most)
        while memory > asked.memory:
            size = self.allowance.fitting(replace(asked, memory=memory))
            if size is not None:
                return size
            memory //= 2  # earlier sessions had what there isn't here: the most of it that there is
        return asked

    def _need(self, kind: PrefixAndCode) -> int:
        return max(self._seen.get(kind, 0), self._recalled.get(kind, 0))


def sized(
    draft: Draft, default: Resources, needs: MemoryNeeds, durations: Durations
) -> Mapping[Key, Resources]:
    """Give the resources of a draft's tasks that are others than the default ones."""
    prefixes = {prefix for prefix, code in needs.known() if durations.code(prefix) == code}
    if not prefixes:
        return draft.resources
    found = dict(draft.resources)
    settled: dict[tuple[str, Resources], Resources] = {}
    for key in draft.tasks:
        prefix = key_split(key)
        if prefix in prefixes and key not in draft.literals:
            asked = found.get(key, default)
            if (prefix, asked) not in settled:
                settled[prefix, asked] = needs.applied(asked, [(prefix, durations.code(prefix))])
            found[key] = settled[prefix, asked]
    return found
