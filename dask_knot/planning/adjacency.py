"""Edges of a graph in two flat lists: a million small lists keep the garbage collector busy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise


class Adjacency:
    """For each task a list of tasks, as `adjacency[task]`; built by `append`, task after task."""

    __slots__ = ("_flat", "_starts")

    def __init__(self, flat: list[int] | None = None, starts: list[int] | None = None) -> None:
        self._flat = flat or []
        self._starts = starts or [0]

    def append(self, tasks: Iterable[int]) -> None:
        self._flat.extend(tasks)
        self._starts.append(len(self._flat))

    def __getitem__(self, task: int) -> list[int]:
        return self._flat[self._starts[task] : self._starts[task + 1]]

    def __iter__(self) -> Iterator[list[int]]:
        flat = self._flat
        return (flat[first:last] for first, last in pairwise(self._starts))

    def __len__(self) -> int:
        return len(self._starts) - 1

    def sizes(self) -> list[int]:
        """Count the tasks of every list."""
        return [last - first for first, last in pairwise(self._starts)]

    def reversed_edges(self) -> Adjacency:
        """Turn every edge: where this says what tasks read, that says who reads them."""
        counts = [0] * len(self)
        for made in self._flat:
            counts[made] += 1
        starts = [0, *accumulate(counts)]
        free = starts.copy()
        flat = [0] * len(self._flat)
        for task, upstream in enumerate(self):
            for made in upstream:
                place = free[made]
                flat[place] = task
                free[made] = place + 1
        return Adjacency(flat, starts)
