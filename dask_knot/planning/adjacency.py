"""Edges of a graph in two flat lists, and the order in which to follow them.

A million small lists would keep the garbage collector busy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

_NEW, _OPEN, _DONE = range(3)


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


class CycleError(Exception):
    """A task reads, over others, its own value; ``task`` is one of the cycle."""

    def __init__(self, task: int) -> None:
        super().__init__(task)
        self.task = task


def depth_first(
    starts: Iterable[int], inputs_of: Callable[[int], Sequence[int]], size: int
) -> list[int]:
    """Order everything that the starts need, each task after its inputs: depth-first post-order.

    Related tasks come next to each other.

    Parameters
    ----------
    starts : iterable of int
        Tasks to begin with, in this order.
    inputs_of : callable
        Gives the inputs of a task, in the order in which to visit them; called once a task.
    size : int
        Tasks are numbers below this one.
    """
    state = bytearray(size)
    order: list[int] = []
    for start in starts:
        stack = [start]
        while stack:
            task = stack[-1]
            if state[task] == _NEW:
                state[task] = _OPEN
                for upstream in reversed(inputs_of(task)):
                    if state[upstream] == _NEW:
                        stack.append(upstream)
                    elif state[upstream] == _OPEN:
                        raise CycleError(upstream)
            else:
                # A task may lie on the stack twice: once from each of two readers.
                stack.pop()
                if state[task] == _OPEN:
                    state[task] = _DONE
                    order.append(task)
    return order
