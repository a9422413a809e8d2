"""What it takes to run a task once more elsewhere: where it came from, and the tasks before it."""

from __future__ import annotations

from collections.abc import Callable

from dask.typing import Key

from dask_knot.run.manifest import Place
from dask_knot.tracking.events import Graph, Node
from dask_knot.tracking.moves import KeyState
from dask_knot.tracking.state import TrackerState


def failure_of(state: TrackerState, key: Key) -> Place | Exception | None:
    """Tell where the failure is that stands for the value of a key, if one does."""
    record = state.keys.get(key)
    if record is None or record.state is not KeyState.ERRED:
        return None
    return record.error or (record.output.place if record.output else None)


def graph_of(state: TrackerState, key: Key) -> Graph | None:
    """Find a graph that has the task of a key, be it wanted or inside a shard."""
    record = state.keys.get(key)
    if record is not None and record.graph is not None:
        return record.graph
    graphs = {record.graph for record in state.keys.values() if record.graph is not None}
    return next((graph for graph in graphs if key in graph.tasks), None)


def tasks_before(graph: Graph, key: Key, is_there: Callable[[Key], bool]) -> dict[Key, Node]:
    """Take a task, and all tasks before it whose values can't be had.

    Parameters
    ----------
    graph : Graph
        Has the task.
    key : Key
        Names the task, which is taken in any case.
    is_there : callable
        Whether the value of a key can be had.
    """
    tasks: dict[Key, Node] = {}
    stack = [key]
    while stack:
        task = stack.pop()
        if task not in tasks:
            tasks[task] = graph.tasks[task]
            stack += [
                read
                for read in tasks[task].dependencies
                if read in graph.tasks and not is_there(read)
            ]
    return tasks
