"""Tasks inside a shard that may be tried several times, as `retries=` says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dask.typing import Key

from dask_knot.internals import GraphNode, Task, TaskRef
from dask_knot.task.copies import OwnCopy, renew_copies


class TaskWithRetries:
    """Calls a task again when it raises.

    Dask counts the retries of keys that it knows; a task inside a shard it doesn't know.

    Parameters
    ----------
    node : GraphNode
        The task.
    retries : int
        How often it is called again.
    """

    def __init__(self, node: GraphNode, retries: int) -> None:
        self._node = node
        self._retries = retries
        self._reads: list[Key] = list(node.dependencies)

    def __call__(self, *values: Any) -> Any:
        """Call the task with the values that it reads, in the order of `reads`.

        Constants are given as what makes them: each try has them as they were.
        """
        found = dict(zip(self._reads, values, strict=True))
        for _ in range(self._retries):
            try:
                return self._try(found)
            except Exception:  # whatever it is, the last try will tell
                continue
        return self._try(found)

    def _try(self, found: Mapping[Key, Any]) -> Any:
        renew_copies()
        return self._node({k: v.make() if isinstance(v, OwnCopy) else v for k, v in found.items()})

    def task(self) -> Task:
        """Make the task that takes the place of the one that is retried."""
        return Task(self._node.key, self, *(TaskRef(key) for key in self._reads))


def is_retried(node: GraphNode) -> bool:
    """Tell whether a task makes its constants itself."""
    return isinstance(getattr(node, "func", None), TaskWithRetries)
