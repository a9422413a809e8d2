"""Runs tasks that Dask has fused into one, without ordering them anew for every block.

Dask's own `_execute_subgraph` calls `dask.order` for each fused task: for arrays of small blocks
that is two thirds of the time. Depth-first order is right as well, and the values are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dask.typing import Key

from dask_knot.internals import EXECUTE_SUBGRAPH, GraphNode, Task, TaskRef


def call(node: GraphNode, values: Mapping[Key, Any]) -> Any:
    """Call a task as it calls itself, a fused one by our way.

    Parameters
    ----------
    node : GraphNode
        The task.
    values : mapping of Key to Any
        What it reads.
    """
    if isinstance(node, Task) and node.func is EXECUTE_SUBGRAPH and not node.kwargs:
        inner, target, names, *references = node.args
        read = [_evaluated(reference, values) for reference in references]
        return _execute(inner, target, names, read)
    return node(values)


def _evaluated(argument: object, values: Mapping[Key, Any]) -> Any:
    if isinstance(argument, TaskRef):
        return values[argument.key]
    return call(argument, values) if isinstance(argument, GraphNode) else argument


def _execute(
    inner: Mapping[Key, GraphNode], target: Key, names: Sequence[Key], read: Sequence[Any]
) -> Any:
    values: dict[Key, Any] = dict(zip(names, read, strict=True))
    readers = Counter(key for node in inner.values() for key in node.dependencies)
    stack = [target]
    while stack:
        key = stack[-1]
        if key in values:
            stack.pop()
            continue
        node = inner[key]
        reads = node.dependencies
        if missing := [read for read in reads if read not in values]:
            stack += missing
            continue
        values[key] = call(node, {read: values[read] for read in reads})
        stack.pop()
        for read_key in reads:
            readers[read_key] -= 1
            if not readers[read_key] and read_key != target:
                del values[read_key]
    return values[target]
