"""Fused tasks give what Dask's own way of running them gives."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import pytest
from dask._task_spec import Alias, DataNode, GraphNode, List, Task

from dask_knot.task.subgraphs import EXECUTE_SUBGRAPH, call
from tests.job.runs import ref, task


def fused(tasks: list[Task]) -> Task:
    """Let Dask fuse tasks into one."""
    found = Task.fuse(*tasks)
    assert found.func is EXECUTE_SUBGRAPH
    return found


CHAIN = [
    task("a", operator.add, ref("x"), 1),
    task("b", operator.mul, ref("a"), ref("a")),
    task("c", operator.sub, ref("b"), ref("y")),
]


@pytest.mark.parametrize(
    ("node", "values"),
    [
        (fused(CHAIN), {"x": 2, "y": 3}),
        (task("plain", operator.add, ref("x"), 1), {"x": 2}),
        (Alias("also", "x"), {"x": 2}),
        (DataNode("literal", 5), {}),
        (Task("nested", sum, List(ref("x"), ref("y"))), {"x": 2, "y": 3}),
        (fused([fused(CHAIN[:2]), CHAIN[2]]), {"x": 2, "y": 3}),
    ],
)
def test_values_are_those_of_dask(node: GraphNode, values: Mapping[str, Any]) -> None:
    assert call(node, dict(values)) == node(dict(values))


def test_errors_are_raised() -> None:
    node = fused([task("a", operator.truediv, 1, ref("x")), task("b", abs, ref("a"))])
    with pytest.raises(ZeroDivisionError):
        call(node, {"x": 0})


def test_long_chains_need_no_recursion() -> None:
    length = 3_000
    chain = [task(n, operator.add, ref(n - 1), 1) for n in range(1, length)]
    assert call(Task.fuse(*chain), {0: 0}) == length - 1
