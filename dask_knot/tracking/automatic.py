"""Memory that is chosen: for each graph as little as fits all of its tasks of which it is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dask.utils import format_bytes

from dask_knot.tracking.actions import Action, Decided


@dataclass(slots=True)
class AutomaticMemory:
    """Chooses the memory of jobs.

    Parameters
    ----------
    fitting : callable
        Gives the size of a job that is to have so many bytes at most; None if none is large enough.
    usual : int
        What a job has as long as nothing is known.
    """

    fitting: Callable[[int], int | None]
    usual: int
    _said: set[str] = field(default_factory=set)

    def copy(self) -> AutomaticMemory:
        """Give the same, to choose without a word."""
        return AutomaticMemory(self.fitting, self.usual, {*self._said})

    def choose(self, peaks: Mapping[str, int], prefixes: set[str]) -> tuple[int, str]:
        """Choose the memory for tasks of some prefixes, and say why.

        Parameters
        ----------
        peaks : mapping of str to int
            What is known of prefixes: the most that a job had.
        prefixes : set of str
            Those of the tasks.
        """
        known = {prefix: peaks[prefix] for prefix in prefixes if prefix in peaks}
        unknown = sorted(prefixes - known.keys())
        if not known:
            return self.usual, (
                f"{format_bytes(self.usual)} as usual: nothing is known about its tasks"
            )
        largest = max(sorted(known), key=known.__getitem__)
        size = self.fitting(known[largest]) or max(self.usual, known[largest])
        why = f"{format_bytes(size)}: jobs of {largest} had {format_bytes(known[largest])}"
        if unknown:
            if self.usual > size:
                size, why = self.usual, f"{format_bytes(self.usual)} as usual"
            rest = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
            why += f"; nothing is known about {unknown[0]}{rest}"
        return size, why

    def news(self, why: str) -> list[Action]:
        """Say what was chosen, once."""
        text = f"memory of jobs: {why}"
        if text in self._said:
            return []
        self._said.add(text)
        return [Decided(text, is_news=True)]
