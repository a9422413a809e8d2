"""The graph that Dask's scheduler sees: what the client asked for, and which values that reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from typing import NoReturn

from dask.typing import Key
from distributed.protocol import Serialized, serialize, to_serialize

from dask_knot.errors import LiveWorkerError
from dask_knot.graphs.opening import OpenedGraph
from dask_knot.internals import Expr, GraphNode, Task, TaskRef, named_graph
from dask_knot.planning.reads import Reads

_NO_READS: Reads = frozenset()
#: A wanted key depends on up to so many values without a hub.
DIRECT_READS = 2


@dataclass(frozen=True, slots=True)
class CompactGraph:
    """The graph that Dask's scheduler sees, the order of its keys, and which of them are hubs.

    It can be unpacked while `graph` is held, in this process.
    """

    graph: Expr
    packed: Serialized
    order: Mapping[Key, int]
    hubs: Set[Key]


def compact(opened: OpenedGraph, hub: str) -> CompactGraph:
    """Make the graph that Dask's scheduler sees.

    It has the wanted keys only. A wanted key that needs values from outside depends on them, so
    that Dask's own rules for lost, erred and retried inputs hold for exactly the keys concerned.
    Many keys that need the same many values do so through one more key, a hub: the cost is
    inputs + outputs, not their product.
    """
    tasks: dict[Key, GraphNode] = {}
    hubs: dict[Reads, Key] = {}
    everything = frozenset(opened.graph.external)
    for key in opened.graph.wanted:
        reads = opened.reads.get(key, _NO_READS)
        if reads is None:  # too many ways to tell: what it doesn't read does no harm
            reads = everything
        if len(reads) > DIRECT_READS:
            if reads not in hubs:
                name = hubs[reads] = f"{hub}-{len(hubs)}"
                tasks[name] = Task(name, _gather_inputs, *_references(reads))
            reads = frozenset((hubs[reads],))
        tasks[key] = Task(key, _run_in_a_job, *_references(reads))
    order = {key: number for number, key in enumerate(tasks)}
    # It is made and read in the event loop, and a client may hold the locks that other expressions
    # take while it waits for that loop: a Queue that is an argument asks the scheduler whenever
    # Dask makes a token of it.
    graph = named_graph(tasks, token=hub)
    packed = Serialized(*serialize(to_serialize(graph)))
    return CompactGraph(graph, packed, order, set(hubs.values()))


def stand_in(key: Key) -> GraphNode:
    """Make a task without inputs for a key that no graph has brought."""
    return Task(key, _run_in_a_job)


def _references(keys: Collection[Key]) -> list[TaskRef]:
    return [TaskRef(key) for key in keys]


def _gather_inputs(*inputs: object) -> None:
    """Stand for the values that a graph reads."""


def _run_in_a_job(*inputs: object) -> NoReturn:
    """Stand for a wanted key: Dask's scheduler has its name, a job has its task."""
    raise LiveWorkerError("this key is computed by jobs: a Dask worker of your own can't take part")
