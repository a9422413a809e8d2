"""Tasks for which variables of the environment are set, and nothing else sees them.

The environment is that of the whole process. Where several threads of a job run tasks, those that
want other variables wait for each other.
"""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dask.typing import Key

from dask_knot.internals import GraphNode, Task, TaskRef
from dask_knot.task.subgraphs import call


class TaskWithVariables:
    """Calls a task while variables are set.

    Parameters
    ----------
    node : GraphNode
        The task.
    variables : mapping of str to str
        What is set; there may be nothing, so that it sees those of no other task.
    """

    def __init__(self, node: GraphNode, variables: Mapping[str, str]) -> None:
        self._node = node
        self._variables = variables
        self._reads: list[Key] = list(node.dependencies)

    def __call__(self, *values: Any) -> Any:
        """Call the task with the values that it reads."""
        with _gate.passed(self._variables):
            value = call(self._node, dict(zip(self._reads, values, strict=True)))
        return self._awaited(value) if inspect.iscoroutine(value) else value

    async def _awaited(self, coroutine: Any) -> Any:
        with _gate.passed(self._variables):  # it has only begun
            return await coroutine

    def task(self) -> Task:
        """Make the task that takes the place of the one without variables."""
        return Task(self._node.key, self, *(TaskRef(key) for key in self._reads))


class _Gate:
    """Lets threads pass together that want the same variables."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._variables: Mapping[str, str] = {}
        self._before: dict[str, str | None] = {}

    @contextmanager
    def passed(self, variables: Mapping[str, str]) -> Iterator[None]:
        """Have variables set; waits while others are."""
        with self._changed:
            self._changed.wait_for(lambda: not self._inside or self._variables == variables)
            if not self._inside:
                self._variables = variables
                self._before = {name: os.environ.get(name) for name in variables}
                os.environ.update(variables)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                if not self._inside:
                    self._restore()
                    self._changed.notify_all()

    def _restore(self) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


#: One for the process, as its environment is.
_gate = _Gate()
