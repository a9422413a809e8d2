"""A light task is what it stands for, and smaller."""

from __future__ import annotations

import pytest
from dask._task_spec import DataNode, GraphNode, Task, TaskRef
from distributed.protocol import pickle

from dask_knot.job.tasks import run_task
from dask_knot.task.copies import OwnCopy
from dask_knot.task.items import ItemTask
from dask_knot.task.subgraphs import call


def test_it_calls_the_function() -> None:
    node = ItemTask.of(Task(("map", 3), divmod, 7, 4))
    assert type(node) is ItemTask
    again = pickle.loads(pickle.dumps(node))
    for one in (node, again):
        assert one.key == ("map", 3)
        assert one.dependencies == frozenset()
        assert one({}) == call(one, {}) == run_task(one, {}).value == (1, 3)
    renamed = node.substitute({}, "other")
    assert (renamed.key, renamed()) == ("other", (1, 3))
    assert node.substitute({}) is node
    assert node != again
    assert len({node, again}) == 2
    assert repr(node) == "<ItemTask ('map', 3)>"


@pytest.mark.parametrize(
    "node",
    [
        Task("x", len, TaskRef("y")),
        Task("x", len, [1], key="y"),
        Task("x", len, DataNode(None, [1])),
        Task("x", len, OwnCopy(None, [b""])),
        DataNode("x", 1),
    ],
    ids=lambda node: type(node).__name__,
)
def test_what_is_more_than_that_stays(node: GraphNode) -> None:
    assert ItemTask.of(node) is node


def test_many_are_pickled_small() -> None:
    tasks = [Task(("map", number), divmod, number, 7) for number in range(1000)]
    light = [ItemTask.of(node) for node in tasks]
    assert len(pickle.dumps(light)) < 0.7 * len(pickle.dumps(tasks))
