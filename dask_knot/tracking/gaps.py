"""What must be made to make a key: it, and of what it reads the values that aren't there."""

from __future__ import annotations

from enum import Enum, auto

from dask.typing import Key

from dask_knot.tracking.events import Graph
from dask_knot.tracking.records import Batch, KeyRecord
from dask_knot.tracking.state import State
from dask_knot.tracking.states import KeyState


class Again(Enum):
    """Which keys that erred are made again for what reads them; the others' failures are read."""

    NONE = auto()  # they erred just now: recovery goes on from what is known
    UNASKED = auto()  # Dask never asked for them, so it can't retry them either: a new graph
    ALL = auto()  # a retry, which begins with whatever failed first


def take_missing(
    state: State, batch: Batch, graph: Graph, key: Key, again: Again = Again.UNASKED
) -> None:
    """Take a task, and of what it reads only the tasks whose values aren't there or coming.

    Parameters
    ----------
    state : State
        What is known.
    batch : Batch
        Where they are put.
    graph : Graph
        Has the task.
    key : Key
        Names the task.
    again : Again
        What of that which erred is made again.
    """
    stack = [(graph, key)]
    while stack:
        graph, key = stack.pop()
        if key in batch.origin:
            continue
        take(batch, graph, key)
        for needed in graph.tasks[key].dependencies:
            source = _graph_to_make(state, batch, needed, graph, again)
            if source is None:
                read(state, batch, needed)
            else:
                stack.append((source, needed))


def take(batch: Batch, graph: Graph, key: Key) -> None:
    """Put one task into a batch."""
    batch.tasks[key] = graph.tasks[key]
    batch.origin[key] = graph
    if key in graph.literals:
        batch.literals.add(key)
    if key in graph.resources:
        batch.resources[key] = graph.resources[key]


def leave(batch: Batch, key: Key) -> None:
    """Take one task out of a batch."""
    del batch.tasks[key], batch.origin[key]
    batch.literals.discard(key)
    batch.resources.pop(key, None)


def read(state: State, batch: Batch, key: Key) -> None:
    """Note that a batch reads a value from outside."""
    if key in batch.reads or key in batch.origin:
        return
    record = state.keys.get(key)
    if record is None:
        # Nobody knows it: only what reads it must err, not all that is planned with that.
        record = state.keys[key] = KeyRecord(key, None, KeyState.GONE)
    if record.batch is not batch:
        batch.reads[key] = record
        record.readers += 1


def _graph_to_make(
    state: State, batch: Batch, key: Key, graph: Graph, again: Again
) -> Graph | None:
    """Name the graph by which a key is to be made now, or None if its value is there or coming."""
    record = state.keys.get(key)
    if record is None:
        return graph if key in graph.tasks else None
    if not (record.batch is batch or _is_missing(record, again)):
        return None
    own = record.graph
    if own is not None and key in own.tasks:
        return own
    return graph if key in graph.tasks else None


def _is_missing(record: KeyRecord, again: Again) -> bool:
    if record.state is KeyState.GONE or record.is_unreadable:
        return True
    if record.state is not KeyState.ERRED or again is Again.NONE:
        return False
    return again is Again.ALL or not record.is_wanted
