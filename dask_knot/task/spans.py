"""Tasks that were made in one of Dask's spans: what they compute themselves belongs to it, too."""

from __future__ import annotations

import inspect
from typing import Any

import dask
from dask.typing import Key

from dask_knot.internals import GraphNode, Task, TaskRef
from dask_knot.task.subgraphs import call


class TaskInSpan:
    """Calls a task with its span among the annotations, as a worker of Dask's does.

    Parameters
    ----------
    node : GraphNode
        The task.
    span : object
        What `distributed.span` annotates.
    """

    def __init__(self, node: GraphNode, span: Any) -> None:
        self._node = node
        self._span = span
        self._reads: list[Key] = list(node.dependencies)

    def __call__(self, *values: Any) -> Any:
        """Call the task with the values that it reads."""
        with dask.annotate(span=self._span):
            value = call(self._node, dict(zip(self._reads, values, strict=True)))
        return self._awaited(value) if inspect.iscoroutine(value) else value

    async def _awaited(self, coroutine: Any) -> Any:
        with dask.annotate(span=self._span):  # it has only begun
            return await coroutine

    def task(self) -> Task:
        """Make the task that takes the place of the one that has a span."""
        return Task(self._node.key, self, *(TaskRef(key) for key in self._reads))
