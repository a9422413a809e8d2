"""Opens the graphs that clients send: the one file that touches private names of distributed.

Tested against the oldest and the newest distributed that setup.cfg allows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dask._expr import LLGExpr
from dask._task_spec import DataNode, GraphNode, Task, TaskRef
from dask.typing import Key
from dask.utils import parse_bytes
from distributed.protocol import Serialized, deserialize, serialize, to_serialize
from distributed.scheduler import _cull, _materialize_graph

from dask_knot.collector import paused_collector
from dask_knot.errors import UnsupportedGraphError
from dask_knot.planning import Resources
from dask_knot.tracking.events import Graph

Annotations = Mapping[str, Mapping[Key, Any]]


@dataclass(frozen=True, slots=True)
class OpenedGraph:
    """What a client sent, ready to be planned; `annotations` by type for each key."""

    graph: Graph
    annotations: Annotations


def open_graph(
    expr_ser: Any, keys: Collection[Key], everywhere: Mapping[str, Any], default: Resources
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
    default : Resources
        What a task needs that says nothing else.

    Raises
    ------
    UnsupportedGraphError
        If the graph needs live workers.
    Exception
        Whatever deserializing the client's objects raises.
    """
    with paused_collector():
        return _open(expr_ser, keys, everywhere, default)


def _open(
    expr_ser: Any, keys: Collection[Key], everywhere: Mapping[str, Any], default: Resources
) -> OpenedGraph:
    expr = deserialize(expr_ser.header, expr_ser.frames)
    tasks, annotations = _materialize_graph(expr, validate=False)
    if isinstance(expr, LLGExpr):
        needed = _cull(tasks, set(keys))
        # In the order of the graph, which culling loses: plans must not depend on hashes.
        tasks = {key: node for key, node in tasks.items() if key in needed}
    _refuse_unsupported(tasks.values())
    wanted = [key for key in tasks if key in keys]
    literals = {key for key, node in tasks.items() if isinstance(node, DataNode)}
    literals.difference_update(wanted)
    read: set[Key] = set().union(*(node.dependencies for node in tasks.values()))
    graph = Graph(
        tasks,
        wanted,
        literals,
        external=sorted(read.difference(tasks), key=str),
        resources=_resources(tasks, annotations, everywhere, default),
    )
    return OpenedGraph(graph, annotations)


def compact(
    wanted: Collection[Key], external: Collection[Key], hub: str
) -> tuple[Serialized, dict[Key, int]]:
    """Make the graph that Dask's scheduler sees, and the order of its keys.

    It has the wanted keys only. If values from outside are read, one more key, the hub, depends on
    all of them, and every wanted key on the hub: so Dask's own rules for lost and erred inputs hold
    at a cost of inputs + outputs.
    """
    tasks: dict[Key, GraphNode] = {}
    reads: tuple[TaskRef, ...] = ()
    if external:
        tasks[hub] = Task(hub, _gather_inputs, *(TaskRef(key) for key in external))
        reads = (TaskRef(hub),)
    for key in wanted:
        tasks[key] = Task(key, _run_in_a_job, *reads)
    order = {key: number for number, key in enumerate(tasks)}
    return Serialized(*serialize(to_serialize(LLGExpr(tasks)))), order


def _gather_inputs(*inputs: object) -> None:
    """Stand for the values that a graph reads."""


def _run_in_a_job(*inputs: object) -> None:
    """Stand for a wanted key: Dask's scheduler has its name, a job has its task."""


def _refuse_unsupported(nodes: Iterable[GraphNode]) -> None:
    for kind in {type(node) for node in nodes}:
        if kind.__module__.startswith("distributed.shuffle"):
            raise UnsupportedGraphError(
                "this graph shuffles between live workers (P2P), and jobs are not live workers. "
                "Build it while the KnotCluster is open, or with dask.config.set({"
                "'dataframe.shuffle.method': 'tasks', 'array.rechunk.method': 'tasks'})"
            )


def _resources(
    tasks: Iterable[Key],
    annotations: Annotations,
    everywhere: Mapping[str, Any],
    default: Resources,
) -> dict[Key, Resources]:
    """Read `resources=` as what a job needs: CPU, GPU, and MEMORY in bytes."""
    found: dict[Key, Resources] = {}
    if everywhere.get("resources"):
        everyone = _parse(everywhere["resources"], default)
        found = dict.fromkeys(tasks, everyone)
    for key, given in annotations.get("resources", {}).items():
        found[key] = _parse(given, default)
    return found


def _parse(given: Mapping[str, Any], default: Resources) -> Resources:
    known = {"CPU", "GPU", "MEMORY"}
    if unknown := set(given) - known:
        raise UnsupportedGraphError(
            f"resources={dict(given)!r}: a job has no {', '.join(sorted(unknown))}; "
            f"use {', '.join(sorted(known))} (MEMORY in bytes)"
        )
    return Resources(
        vcpus=given.get("CPU", default.vcpus),
        memory=int(parse_bytes(given["MEMORY"])) if "MEMORY" in given else default.memory,
        gpus=int(given.get("GPU", default.gpus)),
        timeout=default.timeout,
    )
