"""What only a live worker has is found wherever it stands in a graph, and nothing is run for it."""

from __future__ import annotations

import functools
import pickle
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
from dask._expr import LLGExpr
from dask._task_spec import DataNode, GraphNode, List, Task, TaskRef
from distributed import Event, Future, Lock, MultiLock, Queue, Semaphore, Variable

from dask_knot.errors import LiveWorkerError
from dask_knot.graphs.annotations import Bounds
from dask_knot.graphs.constants import Constants
from dask_knot.graphs.liveness import may_be_in, replace_live
from dask_knot.graphs.opening import open_graph
from dask_knot.planning import Resources
from dask_knot.task.context import unpickling
from dask_knot.task.futures import FileLock
from tests.graphs.test_opening import sent

BOUNDS = Bounds(Resources(1, 2**30), Resources(1, 2**30))
LIVE: dict[str, Callable[[], Any]] = {
    "Lock": lambda: Lock("x"),
    "Semaphore": lambda: Semaphore(2, "x"),
    "MultiLock": lambda: MultiLock(["x"]),
    "Queue": lambda: Queue("x"),
    "Variable": lambda: Variable("x"),
    "Event": lambda: Event("x"),
}


def a_function_with(value: Any) -> Callable[[], Any]:
    def function(default: Any = value) -> Any:
        return value

    return function


WHERE: dict[str, Callable[[Any], GraphNode]] = {
    "argument": lambda live: Task("t", id, live),
    "keyword": lambda live: Task("t", dict, a=live),
    "list": lambda live: Task("t", id, List([{"a": (live,)}], TaskRef("x"))),
    "object": lambda live: Task("t", id, SimpleNamespace(a=SimpleNamespace(b=[live]))),
    "closure": lambda live: Task("t", a_function_with(live)),
    "partial": lambda live: Task("t", functools.partial(id, live)),
    "literal": lambda live: DataNode("t", [live]),
    "fused": lambda live: GraphNode.fuse(Task("s", id, live), Task("t", id, TaskRef("s"))),
}


def opened(node: GraphNode, is_here: bool = False) -> Any:
    graph = LLGExpr({"x": DataNode("x", 1), "t": node})
    return open_graph(sent(graph), ["t"], {}, BOUNDS, Constants(), is_here).graph


def computed(graph: Any, key: str = "t") -> Any:
    return pickle.loads(pickle.dumps(graph.tasks[key], protocol=5))({})


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("feature", LIVE)
def test_it_is_refused_with_its_name(feature: str, where: str) -> None:
    with unpickling():  # none of them looks for a client
        node = WHERE[where](LIVE[feature]())
        graph = opened(node, is_here=True)
    assert list(graph.tasks) == ["t"]
    with pytest.raises(LiveWorkerError, match=rf"^{feature} needs .* in task 't', which was not"):
        computed(graph)


def test_nothing_runs_of_what_needs_it() -> None:
    with unpickling():
        nodes = {
            "before": Task("before", id, 1),
            "bad": Task("bad", id, [Lock("x")], TaskRef("before")),
            "after": Task("after", id, TaskRef("bad")),
            "wanted": Task("wanted", id, TaskRef("after"), TaskRef("before")),
            "beside": Task("beside", id, TaskRef("root")),
            "root": Task("root", abs, 1),
        }
        graph = open_graph(
            sent(LLGExpr(nodes)), ["wanted", "beside"], {}, BOUNDS, Constants(), True
        ).graph
    assert list(graph.tasks) == ["wanted", "beside", "root"]
    assert not graph.tasks["wanted"].dependencies
    with pytest.raises(LiveWorkerError, match=r"^Lock needs .* in task 'bad'"):
        computed(graph, "wanted")


def test_graphs_without_are_not_looked_at() -> None:
    graph = sent(LLGExpr({"t": Task("t", id, np.ones(9))}))
    assert not may_be_in(graph.frames)
    assert may_be_in(sent(LLGExpr({"t": Task("t", id, Future("f"))})).frames)
    nodes = {"t": Task("t", id, 1)}
    assert replace_live(nodes, ["t"], is_here=True)["t"] is nodes["t"]


def persisted() -> da.Array:
    """Make an array as `persist` gives it."""
    array = da.ones(6, chunks=3)
    rebuild, extra = array.__dask_postpersist__()
    return rebuild({key: Future(key) for key in array.__dask_keys__()}, *extra)


@pytest.mark.parametrize("where", WHERE)
def test_persisted_collections_are_read(where: str) -> None:
    array = persisted()
    graph = opened(WHERE[where](array))
    assert set(graph.external) == set(array.__dask_keys__())
    assert "t" not in graph.literals


def total(box: Any) -> Any:
    return dask.compute(box["a"][0].sum(), scheduler="synchronous")[0]


def test_a_persisted_collection_is_computed_where_the_task_runs() -> None:
    array = persisted()
    graph = opened(Task("t", total, {"a": [array]}))
    node = pickle.loads(pickle.dumps(graph.tasks["t"], protocol=5))
    assert node({key: np.full(3, 5.0) for key in array.__dask_keys__()}) == 30


class Target:
    """Stands for what xarray writes to."""

    def __init__(self, lock: Lock, manager: Any) -> None:
        self.lock, self.manager = lock, manager


def test_the_lock_of_a_file_that_xarray_writes_is_one_of_the_machine() -> None:
    managers = pytest.importorskip("xarray.backends.file_manager")
    with unpickling():
        lock, other = Lock("/tmp/x.nc"), Lock("/tmp/y.nc")
    manager = managers.CachingFileManager(open, "/tmp/x.nc", mode="a", lock=lock)
    node = Task("t", lambda target: target.lock, Target(lock, manager))
    found = opened(node, is_here=True).tasks["t"]({})
    assert isinstance(found, FileLock)
    assert found.name == "/tmp/x.nc"
    with pytest.raises(LiveWorkerError, match=r"^Lock needs"):
        computed(opened(node, is_here=False))
    with pytest.raises(LiveWorkerError, match=r"^Lock needs"):
        computed(opened(Task("t", id, Target(other, manager)), is_here=True))


def test_it_is_found_beside_what_cant_be_pickled() -> None:
    with unpickling():
        live = Event("x")
    tasks = {"u": Task("u", id, threading.Lock()), "t": Task("t", id, live)}
    found = replace_live(tasks, ["t", "u"], False)
    assert found["u"] is tasks["u"]  # refused later on
    with pytest.raises(LiveWorkerError, match="task 't'"):
        found["t"]({})


class Pickled:
    """Counts how often objects of it are pickled."""

    times = 0

    def __reduce__(self) -> Any:
        Pickled.times += 1
        return Pickled, ()


def test_what_tasks_share_is_not_gone_through_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pickled, "times", 0)
    shared = Pickled()
    with unpickling():
        live = Event("x")
    tasks = {key: Task(key, id, shared) for key in range(400)} | {"t": Task("t", id, live)}
    found = replace_live(tasks, ["t", *range(400)], False)
    assert [key for key in tasks if found[key] is not tasks[key]] == ["t"]
    assert Pickled.times <= 50
