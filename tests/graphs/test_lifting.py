"""What is large leaves its task, and the task gives the same value as before."""

from __future__ import annotations

import operator
import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
from dask._task_spec import (
    Alias,
    DataNode,
    Dict,
    GraphNode,
    List,
    Set,
    Task,
    TaskRef,
    Tuple,
    execute_graph,
)
from dask.typing import Key
from distributed.protocol import pickle

from dask_knot.graphs.constants import Constant, Constants
from dask_knot.graphs.lifting import lift
from dask_knot.internals import named
from dask_knot.job.tasks import run_task

LARGE = np.arange(20_000.0)
SMALL = np.arange(20.0)


def add_up(*values: Any, **named: Any) -> float:
    """Add up all numbers, however deep they are."""
    found = 0.0
    for value in (*values, *named.values()):
        if isinstance(value, dict):
            found += add_up(*value.values())
        elif isinstance(value, (list, tuple, set)):
            found += add_up(*value)
        else:
            found += float(np.sum(value))
    return found


class Model:
    """Holds an array."""

    def __init__(self, weights: np.ndarray) -> None:
        self.weights = weights

    def predict(self, x: float) -> float:
        return float(self.weights.sum()) + x


def capture(array: np.ndarray) -> Any:
    return lambda x: float(array.sum()) + x


def lifted(tasks: Mapping[Key, GraphNode], *wanted: Key) -> dict[Key, GraphNode]:
    """Lift, check that the values are the same, and give the graph."""
    found = lift(tasks, wanted or ("a",), Constants())
    for key in wanted or ("a",):
        before = execute_graph({k: v for k, v in tasks.items()}, keys={key})[key]
        assert np.array_equal(execute_graph(found, keys={key})[key], before)
    return found


def constants(graph: Mapping[Key, GraphNode]) -> list[Constant]:
    return [node for node in graph.values() if isinstance(node, Constant)]


@pytest.mark.parametrize(
    "build",
    [
        lambda x: Task("a", add_up, x),
        lambda x: Task("a", add_up, 1, TaskRef("one"), x),
        lambda x: Task("a", add_up, TaskRef("one"), big=x, small=3),
        lambda x: Task("a", add_up, [1, x], {"b": (x, 2)}),
        lambda x: Task("a", add_up, [[x]]),
        lambda x: Task("a", add_up, List(TaskRef("one"), x)),
        lambda x: Task("a", add_up, Tuple(TaskRef("one"), [x])),
        lambda x: Task("a", add_up, Dict({"b": TaskRef("one"), "c": x})),
        lambda x: Task("a", add_up, Set(TaskRef("one")), Task(None, add_up, x)),
        lambda x: Task("a", add_up, DataNode(None, x)),
        lambda x: Task("a", partial(add_up, x, big=x), TaskRef("one")),
        lambda x: Task("a", Model(x).predict, TaskRef("one")),
        lambda x: Task("a", Model.predict, Model(x), TaskRef("one")),
        lambda x: Task("a", capture(x), TaskRef("one")),
        lambda x: Task("a", x.sum, None),
        lambda x: GraphNode.fuse(
            Task("a", add_up, TaskRef("b"), TaskRef("c")),
            Task("b", add_up, TaskRef("one"), x),
            Task("c", add_up, x),
        ),
    ],
)
def test_it_leaves_its_task(build: Any) -> None:
    tasks = {"one": Task("one", int, 1), "a": build(LARGE)}
    found = lifted(tasks)
    (constant,) = constants(found)
    assert constant.size > LARGE.nbytes
    assert len(pickle.dumps([found["a"], found["one"]])) < 5_000
    assert constant.key in found["a"].dependencies


@pytest.mark.parametrize(
    "task",
    [
        Task("a", add_up, SMALL, [SMALL], big={"b": SMALL}),
        Task("a", partial(add_up, SMALL)),
        Task("a", capture(SMALL), 1),
        GraphNode.fuse(Task("a", add_up, TaskRef("b")), Task("b", add_up, SMALL)),
    ],
)
def test_small_things_stay_in_their_tasks(task: GraphNode) -> None:
    found = lifted({"a": task})
    assert set(found) == {"a"}
    assert not found["a"].dependencies


@pytest.mark.parametrize(
    "task",
    [
        Task("a", add_up, 1, (2.0, (3,)), small=slice(1)),
        Task("a", add_up, TaskRef(("one", 0)), SMALL.dtype, SMALL[3], b"text"),
        Task("a", np.sum, SMALL[3]),
        Task("a", partial(add_up, 1), 2),
        Task("a", lambda x: add_up(x) + 1, 1),
        GraphNode.fuse(Task("a", add_up, TaskRef("b")), Task("b", add_up, 1)),
    ],
)
def test_what_cant_be_changed_stays_as_it_is(task: Task) -> None:
    tasks = {("one", 0): DataNode(("one", 0), 1), "a": task}
    assert lift(tasks, ("a",), Constants())["a"] is task


def test_a_task_has_what_it_can_change_for_itself() -> None:
    config, model = {"factor": 1}, Model(SMALL)
    tasks = {
        "a": Task("a", dict.pop, config, "factor"),
        "b": Task("b", dict.pop, config, "factor"),
        "c": Task("c", model.predict, 1),
        "d": GraphNode.fuse(Task("d", add_up, TaskRef("e")), Task("e", add_up, [config])),
    }
    found = lift(tasks, tasks, Constants())
    assert found["a"].args[0] is found["b"].args[0]  # pickled once
    assert [execute_graph({k: found[k]})[k] for k in "abcd"] == [1, 1, SMALL.sum() + 1, 1]
    assert config == {"factor": 1}


def test_containers_with_names_share_nothing() -> None:
    shared = [1]
    tasks = {"a": named("a", List(TaskRef("x"), shared)), "b": named("b", Tuple(1, shared))}
    found = lift(tasks, ["a", "b"], Constants())
    assert found["a"]({"x": 2}) == [2, [1]]
    assert found["b"]({}) == (1, [1])
    assert found["a"]({"x": 2})[1] is not found["b"]({})[1]
    assert [node.key for node in found.values()] == ["a", "b"]


def test_what_belongs_together_stays_together() -> None:
    model = Model(SMALL)
    tasks = {"a": Task("a", lambda method, x: method.__self__ is x, model.predict, model)}
    node = lift(tasks, ["a"], Constants())["a"]
    assert run_task(pickle.loads(pickle.dumps(node)), {}).value


class Pickled:
    """Counts how often objects of it are pickled."""

    times = 0

    def __reduce__(self) -> Any:
        Pickled.times += 1
        return Pickled, ()


def test_what_tasks_have_in_common_is_pickled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pickled, "times", 0)
    one, other = Pickled(), [Pickled()]
    tasks = {key: Task(key, add_up, one, other) for key in range(50)}
    found = lift(tasks, tasks, Constants())
    assert len({id(argument) for node in found.values() for argument in node.args}) == 2
    holder = [one]
    tasks = {key: Task(key, add_up, one, holder) for key in range(50)}
    found = lift(tasks, tasks, Constants())
    assert len({id(part) for node in found.values() for part in node.args}) == 2
    assert Pickled.times == 5  # each by itself, then those that belong together


def test_a_small_literal_is_each_readers_own() -> None:
    tasks = {("x", 0): DataNode(("x", 0), [1]), "a": Task("a", list.pop, TaskRef(("x", 0)))}
    literal = lift(tasks, ["a"], Constants())[("x", 0)]
    assert literal() == [1]
    assert literal() is not literal()


def test_inputs_of_fused_tasks_may_be_plain_values() -> None:
    inside = Task("b", add_up, TaskRef("one"), LARGE), DataNode("c", LARGE + 1)
    fused = GraphNode.fuse(Task("a", add_up, TaskRef("b"), TaskRef("c")), *inside)
    inner, target, names, *_ = fused.args
    found = lifted({"a": Task("a", fused.func, inner, target, names, DataNode(None, LARGE + 2))})
    assert len(constants(found)) == 3


def test_equal_values_are_one_constant() -> None:
    known = Constants()
    first = lift({"a": Task("a", add_up, LARGE)}, ["a"], known)
    second = lift({"b": Task("b", add_up, LARGE.copy())}, ["b"], known)
    third = lift({"c": Task("c", add_up, LARGE + 1)}, ["c"], known)
    assert constants(first)[0] is constants(second)[0]
    assert constants(third)[0].key != constants(first)[0].key


def test_literals_get_the_name_of_what_is_in_them() -> None:
    node = DataNode(("x", 0), LARGE)
    tasks = {("x", 0): node, "b": Alias("b", ("x", 0)), "a": Task("a", add_up, TaskRef("b"))}
    found = lifted(tasks)
    (constant,) = constants(found)
    assert ("x", 0) not in found
    assert found["b"].dependencies == {constant.key}


def test_literals_that_are_named_by_a_keyword_never_meet() -> None:
    one, two = (
        lift({"big": DataNode("big", n), "a": Task("a", add_up, Alias("big"))}, ["a"], Constants())
        for n in (1, 2)
    )
    assert one.keys() & two.keys() == {"a"}
    assert execute_graph(one | {"b": two["a"]} | two, keys={"a"})["a"] == 2


def test_a_wanted_literal_keeps_its_name() -> None:
    found = lifted({"a": DataNode("a", LARGE)})
    assert isinstance(found["a"], Alias)
    assert lifted({"a": DataNode("a", 1)})["a"] == DataNode("a", 1)


class Unwilling:
    """Looks large, and can't be pickled."""

    nbytes = 10**9

    def __init__(self) -> None:
        self.lock = threading.Lock()


class Lazy:
    """Looks large, but its pickle is small."""

    nbytes = 10**9


@pytest.mark.parametrize("value", [Unwilling(), Lazy()])
def test_what_only_looks_large_stays(value: object) -> None:
    found = lift({"a": Task("a", operator.is_, value, value)}, ["a"], Constants())
    assert list(found) == ["a"]
    assert run_task(found["a"], {}).value is True


def test_a_constant_is_its_value_everywhere() -> None:
    constant = Constants().take(LARGE)
    assert constant is not None
    assert (constant() == LARGE).all()
    again = pickle.loads(pickle.dumps(constant))
    assert again.key == constant.key
    assert (again() == LARGE).all()


def tangled(kind: str) -> Any:
    """Make containers that hold themselves, at once or further inside, or are very deep."""
    if kind == "dict":
        whole: Any = {"array": LARGE}
        whole["itself"] = whole
    elif kind == "deep":
        whole = [LARGE]
        for _ in range(400):
            whole = [whole]
    else:
        whole = [1, LARGE]
        whole.append(whole if kind == "list" else ({"deeper": (whole, LARGE)},))
    return whole


@pytest.mark.parametrize("kind", ["list", "dict", "further inside", "deep"])
@pytest.mark.parametrize("place", ["argument", "inside", "keyword", "partial"])
def test_what_holds_itself_is_not_taken_apart(kind: str, place: str) -> None:
    value = tangled(kind)
    if place == "partial":
        node = Task("x", partial(measure, value))
    elif place == "keyword":
        node = Task("x", measure, value=value)
    else:
        node = Task("x", measure, value if place == "argument" else [value, SMALL])
    lifted = lift({"x": node}, ["x"], Constants())
    constants = [key for key, node in lifted.items() if isinstance(node, Constant)]
    assert lifted["x"].dependencies == {*constants}
    assert len(constants) == 1
    assert pickle.loads(pickle.dumps(lifted))
    assert execute_graph(lifted, keys=["x"])["x"] == measure(
        *([value] if place != "inside" else [[value, SMALL]])
    )


def measure(value: Any) -> int:
    """Count the containers and arrays, each once."""
    seen: dict[int, Any] = {}
    left = [value]
    while left:
        one = left.pop()
        if id(one) not in seen:
            seen[id(one)] = one
            if isinstance(one, (list, tuple)):
                left += one
            elif isinstance(one, dict):
                left += one.values()
    return len(seen)
