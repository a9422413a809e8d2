"""Depth-first post-order: related tasks come next to each other, and inputs before readers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

_NEW, _OPEN, _DONE = range(3)


class CycleError(Exception):
    """A task reads, over others, its own value; ``task`` is one of the cycle."""

    def __init__(self, task: int) -> None:
        super().__init__(task)
        self.task = task


def depth_first(
    starts: Iterable[int], inputs_of: Callable[[int], Sequence[int]], size: int
) -> list[int]:
    """Order everything that the starts need, each task after its inputs.

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
