"""What clients send is opened as Dask would, and what Dask sees is small."""

from __future__ import annotations

import operator
from collections.abc import Collection, Mapping
from queue import Queue
from threading import Thread
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
from dask._expr import LLGExpr
from dask._task_spec import DataNode, GraphNode, Task, TaskRef
from dask.base import collections_to_expr
from dask.core import flatten
from dask.tokenize import tokenize_lock
from dask.typing import Key
from distributed.protocol import Serialized, deserialize, serialize, to_serialize
from hypothesis import given

from dask_knot.errors import UnsupportedGraphError
from dask_knot.graphs.annotations import Bounds
from dask_knot.graphs.compaction import compact
from dask_knot.graphs.constants import Constants
from dask_knot.graphs.opening import OpenedGraph, open_graph
from dask_knot.internals import finalized
from dask_knot.planning import Resources
from tests.graphs.nodes import RandomGraph, random_graphs

BOUNDS = Bounds(Resources(vcpus=2, memory=2**30, timeout=600), Resources(8, 2**33, 2))


def sent(expr: Any) -> Serialized:
    """Serialize an expression as a client does."""
    return Serialized(*serialize(to_serialize(expr)))


def opened(
    tasks: Mapping[Key, GraphNode], wanted: Collection[Key], everywhere: Mapping[str, Any] = {}
) -> OpenedGraph:
    """Open a graph of tasks."""
    return open_graph(sent(LLGExpr(dict(tasks))), wanted, everywhere, BOUNDS, Constants())


def seen(found: OpenedGraph) -> dict[Key, set[Key]]:
    """Tell what Dask's scheduler sees of a graph: keys and their dependencies."""
    small = compact(found, "hub")
    message, order = small.packed, small.order
    tasks = deserialize(message.header, message.frames).dsk
    assert list(order) == list(tasks)
    assert list(order.values()) == list(range(len(tasks)))
    return {key: set(node.dependencies) for key, node in tasks.items()}


def test_what_nobody_wants_is_left_out() -> None:
    tasks = {
        "a-literal": DataNode("a-literal", 5),
        "unused": DataNode("unused", 6),
        "a": Task("a", operator.neg, TaskRef("a-literal")),
        "b": Task("b", operator.neg, TaskRef("a")),
        "c": Task("c", operator.neg, TaskRef("unused")),
    }
    found = opened(tasks, ["b"])
    assert list(found.graph.tasks) == ["a-literal", "a", "b"]
    assert found.graph.wanted == ["b"]
    assert found.graph.literals == {"a-literal"}
    assert found.graph.external == []
    assert found.graph.tasks["a"]({"a-literal": 5}) == -5


def test_a_wanted_literal_is_a_task() -> None:
    found = opened({"a": DataNode("a", 5), "b": Task("b", abs, TaskRef("a"))}, ["a", "b"])
    assert found.graph.wanted == ["a", "b"]
    assert found.graph.literals == set()


def test_wanted_keys_stand_in_the_order_of_the_graph() -> None:
    tasks = {("x", n): Task(("x", n), int, n) for n in (3, 1, 2, 0)}
    assert opened(tasks, {("x", n) for n in range(4)}).graph.wanted == list(tasks)


def test_collections_are_opened() -> None:
    x = da.ones((20, 20), chunks=(10, 10)) + 1
    expr = collections_to_expr([x]).optimize()
    keys = set(dask.core.flatten(expr.__dask_keys__()))
    found = open_graph(sent(expr), keys, {}, BOUNDS, Constants())
    assert set(found.graph.wanted) == keys
    (key, *_) = (k for k in found.graph.wanted if k[1:] == (0, 0))
    values: dict[Key, Any] = {}
    for name, node in found.graph.tasks.items():
        if not set(node.dependencies) - set(values):
            values[name] = node(values)  # type: ignore[operator]
    np.testing.assert_array_equal(values[key], np.full((10, 10), 2.0))


def test_values_from_outside_are_named() -> None:
    tasks = {
        "a": Task("a", operator.add, TaskRef("out-2"), TaskRef("out-1")),
        "b": Task("b", operator.neg, TaskRef("a")),
        "c": Task("c", int, 1),
    }
    found = opened(tasks, ["b", "c"])
    assert found.graph.external == ["out-1", "out-2"]
    assert seen(found) == {"b": {"out-1", "out-2"}, "c": set()}


def test_dask_sees_only_what_is_wanted() -> None:
    tasks = {n: Task(n, operator.neg, TaskRef(n - 1)) for n in range(1, 1000)}
    tasks[0] = Task(0, int, 0)
    assert seen(opened(tasks, [999])) == {999: set()}


def test_dask_takes_no_lock_to_read_it() -> None:
    """A client may hold it while it waits for the loop in which this happens."""
    found = opened({"a": Task("a", int)}, ["a"])
    looks: Queue[object] = Queue()
    with tokenize_lock:
        looker = Thread(target=lambda: looks.put(seen(found)), daemon=True)
        looker.start()
        assert looks.get(timeout=30) == {"a": set()}
    looker.join()


def test_many_that_read_the_same_many_do_so_through_a_hub() -> None:
    tasks: dict[Key, GraphNode] = {
        "all": Task("all", max, *(TaskRef(f"out-{n}") for n in range(50)))
    }
    tasks |= {n: Task(n, operator.add, TaskRef("all"), n) for n in range(100)}
    found = seen(opened(tasks, range(100)))
    assert len(found) == 101
    assert sum(map(len, found.values())) == 150
    (hub,) = set(found) - set(range(100))
    assert found[hub] == {f"out-{n}" for n in range(50)}
    assert all(found[n] == {hub} for n in range(100))


def test_resources_of_tasks_are_read() -> None:
    with dask.annotate(resources={"GPU": 1, "MEMORY": "2 GiB"}):
        large = da.ones(4, chunks=2)
    small = da.zeros(4, chunks=2)
    expr = collections_to_expr([large, small], optimize_graph=False)
    keys = set(dask.core.flatten(expr.__dask_keys__()))
    found = open_graph(sent(expr), keys, {}, BOUNDS, Constants()).graph
    of_large = Resources(vcpus=2, memory=2**31, gpus=1, timeout=600)
    assert set(found.resources.values()) == {of_large}
    assert {key for key in found.wanted if key in found.resources} == {
        key for key in keys if key[0] == large.name
    }


def test_resources_of_the_whole_graph_are_read() -> None:
    tasks = {"a": Task("a", int, 1), "b": Task("b", int, 2)}
    found = opened(tasks, ["a", "b"], {"resources": {"CPU": 4}}).graph
    assert found.resources == dict.fromkeys("ab", Resources(4, 2**30, 0, 600))


def test_unknown_resources_are_answered_with_the_known() -> None:
    with pytest.raises(UnsupportedGraphError, match=r"no TPU; use CPU, GPU and MEMORY"):
        opened({"a": Task("a", int, 1)}, ["a"], {"resources": {"TPU": 1}})


def test_a_graph_of_live_workers_says_what_to_do() -> None:
    pytest.importorskip("pandas")
    from distributed.shuffle._rechunk import rechunk_p2p

    with dask.config.set({"optimization.fuse.active": False}):
        x = rechunk_p2p(
            da.ones((10, 10), chunks=(10, 1)),
            chunks=((1,) * 10, (10,)),
            threshold=None,
            block_size_limit=None,
            balance=False,
        )
        expr = collections_to_expr([x]).optimize()
    keys = set(dask.core.flatten(expr.__dask_keys__()))
    with pytest.raises(UnsupportedGraphError, match=r"array\.rechunk\.method"):
        open_graph(sent(expr), keys, {}, BOUNDS, Constants())


@pytest.mark.parametrize("resources", [{"GPU": 3}, {"CPU": 9}, {"MEMORY": "9 GiB"}])
def test_more_than_any_job_may_have_is_refused(resources: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedGraphError, match="more than any job may have here"):
        opened({"a": Task("a", abs, 1)}, {"a"}, {"resources": resources})


def test_resources_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(UnsupportedGraphError, match="not all numbers"):
        opened({"a": Task("a", abs, 1)}, {"a"}, {"resources": {"CPU": "two"}})


def test_annotations_of_an_array_survive_its_optimization() -> None:
    x = da.ones((8, 8), chunks=4) + 1
    with dask.annotate(knot={"vcpus": 4}, priority=3):
        y = x.map_blocks(lambda block: block * 2)
    expr = collections_to_expr([(y - 1).sum()]).optimize()
    found = open_graph(sent(expr), [*expr.__dask_keys__()], {}, BOUNDS, Constants())
    sizes = set(found.graph.resources.values())
    assert sizes == {Resources(vcpus=4, memory=2**30, timeout=600)}
    assert set(found.graph.priorities.values()) == {3}


@pytest.mark.parametrize(
    "annotation", [{"retries": 2}, {"knot": {"reuse": False}}, {"priority": 3}, {"workers": []}]
)
def test_what_reads_from_tasks_without_an_annotation_may_have_one(annotation: Any) -> None:
    without = [dask.delayed(operator.neg)(number) for number in range(2)]
    with dask.annotate(**annotation):
        annotated = [dask.delayed(operator.neg)(one) for one in without]
    expr = finalized([dask.delayed(sum)(annotated)])
    found = open_graph(sent(expr), [*flatten(expr.__dask_keys__())], {}, BOUNDS, Constants())
    assert len(found.graph.tasks) >= 5
    (given,) = found.annotations.values()
    assert given == {one.key: next(iter(annotation.values())) for one in annotated}


@pytest.mark.parametrize("general", [7, lambda key: 7 if key == "b" else 0])
def test_the_highest_priority_of_what_is_wanted(general: Any) -> None:
    tasks = {"a": Task("a", int, 1), "b": Task("b", operator.neg, TaskRef("a"))}
    assert opened(tasks, ["b"], {"priority": general}).graph.priority == 7
    assert opened(tasks, ["b"]).graph.priorities == {}


@pytest.mark.parametrize("name", ["priority", "retries"])
@pytest.mark.parametrize("general", ["high", lambda key: [1]])
def test_a_priority_that_is_no_number_is_refused(name: str, general: Any) -> None:
    with pytest.raises(UnsupportedGraphError, match=f"{name}=.* of 'a' is no (whole )?number"):
        opened({"a": Task("a", abs, 1)}, {"a"}, {name: general})


def test_retries_are_whole_numbers() -> None:
    with pytest.raises(UnsupportedGraphError, match=r"retries=1\.5 of 'a' is no whole"):
        opened({"a": Task("a", abs, 1)}, {"a"}, {"retries": 1.5})


def computed(tasks: dict[Key, GraphNode], wanted: list[Key]) -> list[Any]:
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
    found_graph = opened(graph.nodes, graph.wanted)
    tasks: Any = found_graph.graph.tasks
    assert {key: node.key for key, node in tasks.items()} == {key: key for key in tasks}
    expected = dask.get(dict(graph.nodes), graph.wanted)
    for found, value in zip(computed(tasks, graph.wanted), expected, strict=True):
        np.testing.assert_equal(found, value)
        assert type(found) is type(value)
