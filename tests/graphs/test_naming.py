"""Whatever a graph holds under whatever name is computed, read and given under that one."""

from __future__ import annotations

import pickle
from typing import Any

import dask
import numpy as np
import pytest
from dask._expr import LLGExpr
from dask._task_spec import Alias, DataNode, Dict, GraphNode, List, Set, Task, TaskRef
from dask._task_spec import Tuple as TupleOf
from dask.typing import Key
from hypothesis import given

from dask_knot.graphs.annotations import Bounds
from dask_knot.graphs.constants import Constants
from dask_knot.graphs.naming import named
from dask_knot.graphs.opening import open_graph
from dask_knot.planning import Resources
from tests.graphs.nodes import RandomGraph, random_graphs
from tests.graphs.test_opening import sent

BOUNDS = Bounds(Resources(1, 2**30), Resources(1, 2**30))
X = TaskRef("x")
NODES: list[tuple[GraphNode, object]] = [
    (DataNode("other", 7), 7),
    (DataNode(None, 7), 7),
    (Alias("x"), 5),
    (Alias("other", "x"), 5),
    (Task("other", max, X, 3), 5),
    (Task("other", dict, a=X), {"a": 5}),
    (List(1, X), [1, 5]),
    (TupleOf(X), (5,)),
    (Set(1, X), {1, 5}),
    (Dict({"a": X}), {"a": 5}),
    (GraphNode.fuse(Task("a", abs, X), Task("b", abs, TaskRef("a"))), 5),
]


@pytest.mark.parametrize(("node", "value"), NODES, ids=repr)
def test_a_node_gets_the_name_of_its_place(node: GraphNode, value: object) -> None:
    before = node.key
    found = pickle.loads(pickle.dumps(named("k", node)))
    assert found.key == "k"
    assert found.dependencies == node.dependencies
    assert found({"x": 5}) == value
    assert node.key == before  # it may stand in another place as well


def test_a_node_that_has_its_name_is_left_alone() -> None:
    node = Task("k", abs, 1)
    assert named("k", node) is node


def run(tasks: dict[Key, GraphNode], wanted: list[Key]) -> list[Any]:
    """Compute as a job does: values are known by the names of their nodes."""
    values: dict[Key, Any] = {}
    left = [*tasks.values()]
    while left:
        ready = [node for node in left if node.dependencies <= values.keys()]
        assert ready, f"nobody makes what these read: {left}"
        values.update({node.key: node(values) for node in ready})
        left = [node for node in left if node.key not in values]
    return [values[key] for key in wanted]


@given(graph=random_graphs())
def test_every_graph_opens_to_the_values_that_dask_gives(graph: RandomGraph) -> None:
    opened = open_graph(sent(LLGExpr(dict(graph.nodes))), graph.wanted, {}, BOUNDS, Constants())
    tasks: Any = opened.graph.tasks
    assert {key: node.key for key, node in tasks.items()} == {key: key for key in tasks}
    expected = dask.get(dict(graph.nodes), graph.wanted)
    for found, value in zip(run(tasks, graph.wanted), expected, strict=True):
        np.testing.assert_equal(found, value)
        assert type(found) is type(value)
