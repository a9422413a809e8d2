"""Opens the graphs that clients send: unpickled, made into tasks, culled, ready to be planned."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import dask
from dask.core import flatten
from dask.typing import Key
from distributed.protocol import Serialized, deserialize, serialize, to_serialize

from dask_knot.collector import paused_collector
from dask_knot.digests import CodeMarker, Digester, GraphDigests
from dask_knot.errors import NotLoadedError
from dask_knot.graphs.annotations import (
    Annotations,
    Bounds,
    inner_retries,
    job_resources,
    spans,
    task_priorities,
    task_reuse,
    task_seconds,
)
from dask_knot.graphs.constants import Constants
from dask_knot.graphs.lifting import lift
from dask_knot.graphs.liveness import may_be_in, replace_live
from dask_knot.graphs.materialization import is_whole, materialize
from dask_knot.graphs.needs import TaskReuse
from dask_knot.graphs.shuffles import refuse_shuffles
from dask_knot.internals import (
    DataNode,
    GraphNode,
    LLGExpr,
    culled,
    finalized,
    named,
)
from dask_knot.planning.reads import Reads, outside_reads
from dask_knot.task.context import unpickling
from dask_knot.task.copies import OwnCopy
from dask_knot.task.retries import TaskWithRetries
from dask_knot.task.spans import TaskInSpan
from dask_knot.tracking.events import Graph

_LITERALS = (DataNode, OwnCopy)


@dataclass(frozen=True, slots=True)
class OpenedGraph:
    """A graph that a client sent, ready to be planned.

    Attributes
    ----------
    annotations : mapping of str to mapping
        By type for each key.
    reads : mapping of Key to set of Key, or None
        The values from outside that each wanted key needs; None when there are too many ways.
    work : GraphDigests or None
        In a named run, the digests of its tasks, and why some have none.
    """

    graph: Graph
    annotations: Annotations
    reads: Mapping[Key, Reads | None]
    work: GraphDigests | None = None


@dataclass(frozen=True, slots=True)
class Digesting:
    """What it takes to know the tasks of a graph again.

    Attributes
    ----------
    digester : Digester or None
        In a named run, digests the tasks.
    outside : callable
        Gives the digest of a value that isn't made by the graph; None if it has none.
    marker : CodeMarker or None
        Where it is known what tasks have cost before, marks their code.
    """

    digester: Digester | None
    outside: Callable[[Key], bytes | None]
    marker: CodeMarker | None = None

    def mark(self, tasks: Mapping[Key, GraphNode]) -> Mapping[str, bytes]:
        """Mark the code of tasks as they were sent, by their prefix."""
        return {} if self.marker is None else self.marker.of_graph(tasks)

    def digest(
        self, tasks: Mapping[Key, GraphNode], reuse: Mapping[Key, TaskReuse]
    ) -> GraphDigests | None:
        """Digest tasks as they were sent, with what their annotations say."""
        if self.digester is None:
            return None
        fresh = {key for key, said in reuse.items() if said.is_fresh}
        inputs = {key: said.inputs for key, said in reuse.items() if said.inputs}
        return self.digester.of_graph(tasks, self.outside, fresh, inputs)


@dataclass(frozen=True, slots=True)
class SentGraph:
    """A message with which a client has collections computed."""

    packed: Serialized
    keys: Collection[Key]
    annotations: Mapping[str, Any]


def send_graph(collections: Iterable[Any]) -> SentGraph:
    """Pack collections, or lists of them, as Dask's client does when it computes them together.

    Raises
    ------
    TypeError
        If something isn't a Dask collection.
    """
    expr = finalized(_as_collections(collections))
    packed = Serialized(*serialize(to_serialize(expr)))
    return SentGraph(packed, set(flatten(expr.__dask_keys__())), dask.get_annotations())


def _as_collections(given: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for one in given:
        if isinstance(one, list | tuple):
            found += _as_collections(one)
        elif dask.is_dask_collection(one):
            found.append(one)
        else:
            kinds = "dask.delayed, dask.array, dask.dataframe, xarray..."
            raise TypeError(f"{one!r} is not a Dask collection ({kinds}): there is nothing to plan")
    if not found:
        raise TypeError("no Dask collection was given: there is nothing to plan")
    return found


def open_graph(
    expr_ser: Any,
    keys: Collection[Key],
    everywhere: Mapping[str, Any],
    bounds: Bounds,
    constants: Constants,
    is_here: bool = False,
    digesting: Digesting | None = None,
) -> OpenedGraph:
    """Deserialize, materialize and cull a graph. Takes its time: call it in a thread.

    Parameters
    ----------
    expr_ser : Serialized
        The expression as the client sent it.
    keys : collection of Key
        What the client wants.
    everywhere : mapping of str to Any
        Annotations of the whole graph.
    bounds : Bounds
        What a task needs that says nothing else, and the most that it may need.
    constants : Constants
        The large constants of all graphs; those of this one are added.
    is_here : bool
        Whether all jobs run on this machine.
    digesting : Digesting, optional
        Digests the tasks, and marks their code.

    Raises
    ------
    UnsupportedGraphError
        If the graph needs live workers.
    Exception
        Whatever deserializing the client's objects raises.
    """
    with paused_collector():
        tasks, annotations = _read(expr_ser, keys, is_here)
        return _digested(tasks, annotations, keys, everywhere, bounds, constants, digesting)


def open_tasks(
    tasks: dict[Key, GraphNode],
    bounds: Bounds,
    constants: Constants,
    digesting: Digesting | None = None,
) -> OpenedGraph:
    """Open tasks that were made in this process, all of which are wanted; in a thread.

    Parameters
    ----------
    tasks : dict of Key to GraphNode
        The tasks.
    bounds : Bounds
        What a task needs, and the most that it may need.
    constants : Constants
        The large constants of all graphs; those of this one are added.
    digesting : Digesting, optional
        Digests the tasks, and marks their code.
    """
    with paused_collector():
        return _digested(tasks, {}, tasks.keys(), {}, bounds, constants, digesting)


def _digested(
    tasks: dict[Key, GraphNode],
    annotations: Annotations,
    keys: Collection[Key],
    everywhere: Mapping[str, Any],
    bounds: Bounds,
    constants: Constants,
    digesting: Digesting | None,
) -> OpenedGraph:
    # Before anything is done to the tasks: jobs get them with spans, retries and constants.
    work: GraphDigests | None = None
    marks: Mapping[str, bytes] = {}
    if digesting is not None:
        marks = digesting.mark(tasks)
        work = digesting.digest(tasks, task_reuse(tasks, annotations, everywhere))
    opened = _open(tasks, annotations, keys, everywhere, bounds, constants)
    graph = replace(opened.graph, marks=marks)
    if work is not None:
        parts = work.components
        graph = replace(graph, digests=work.digests, codes=work.codes, components=parts)
    return replace(opened, graph=graph, work=work)


def _read(
    expr_ser: Any, keys: Collection[Key], is_here: bool
) -> tuple[dict[Key, GraphNode], Annotations]:
    """Unpickle a graph, and make it one of which nothing needs a live worker."""
    expr = _unpickled(expr_ser)
    if isinstance(expr, dict):  # Dask's `recreate_task_locally` asks for inputs in that way
        expr = LLGExpr(expr)
    nodes, annotations = materialize(expr)
    needed = culled(nodes, keys) if is_whole(expr) else nodes
    # In the order of the graph, which culling loses: plans must not depend on hashes.
    tasks = {key: named(key, node) for key, node in nodes.items() if key in needed}
    refuse_shuffles(tasks.values())
    if may_be_in(expr_ser.frames):
        tasks = replace_live(tasks, keys, is_here)
    return tasks, annotations


def _unpickled(expr_ser: Any) -> Any:
    try:
        with unpickling():  # what looks for its client finds none: it waits for the caller's loop
            return deserialize(expr_ser.header, expr_ser.frames)
    except Exception as error:  # unpickling runs user code: anything may come out
        raise NotLoadedError(
            f"this graph could not be unpickled: {type(error).__name__}: {error}. Something "
            "in it can be pickled, but not unpickled"
        ) from error


def _open(
    tasks: dict[Key, GraphNode],
    annotations: Annotations,
    keys: Collection[Key],
    everywhere: Mapping[str, Any],
    bounds: Bounds,
    constants: Constants,
) -> OpenedGraph:
    tasks = lift(tasks, keys, constants)
    tasks |= {
        key: TaskInSpan(tasks[key], span).task()
        for key, span in spans(tasks, annotations, everywhere).items()
        if not isinstance(tasks[key], _LITERALS)
    }
    tasks |= {
        key: TaskWithRetries(tasks[key], retries).task()
        for key, retries in inner_retries(tasks, annotations, everywhere).items()
        if key not in keys and not isinstance(tasks[key], _LITERALS)
    }
    wanted = [key for key in tasks if key in keys]
    literals = {key for key, node in tasks.items() if isinstance(node, _LITERALS)}
    literals.difference_update(wanted)
    read: set[Key] = set().union(*(node.dependencies for node in tasks.values()))
    priorities = task_priorities(tasks, annotations, everywhere)
    graph = Graph(
        tasks,
        wanted,
        literals,
        external=sorted(read.difference(tasks), key=str),
        resources=job_resources(tasks, annotations, everywhere, bounds),
        seconds=task_seconds(tasks, annotations, everywhere),
        priorities=priorities,
        priority=max((priorities.get(key, 0) for key in wanted), default=0),
    )
    dependencies = {key: node.dependencies for key, node in tasks.items()}
    reads = outside_reads(dependencies, wanted, graph.external) if graph.external else {}
    return OpenedGraph(graph, annotations, reads)
