"""Marks of code: other ones when code is edited, the same for the same code wherever it stands."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import cloudpickle
import numpy as np
import pytest
from dask._task_spec import DataNode, List, Task, TaskRef

from dask_knot.digests import CodeMarker
from dask_knot.digests.marks import MOST_OF_PREFIX

Function = Callable[..., Any]


def written(
    body: str = "return helper(x) + 1", helper: str = "return x", place: str = "a.py"
) -> Any:
    """Write a function that calls another one, in a script."""
    known: dict[str, Any] = {"__name__": "__main__"}
    source = f"def helper(x):\n    {helper}\n\ndef f(x):\n    '''Doc.'''\n    {body}\n"
    exec(compile(source, place, "exec"), known)
    return known["f"]


def mark(function: Any, *arguments: Any, key: Any = "f-1", **keywords: Any) -> bytes:
    """Mark a graph of one task, as it is after its way to the scheduler."""
    node = Task(key, function, *arguments, **keywords)
    (found,) = CodeMarker().of_graph({key: pickle.loads(cloudpickle.dumps(node))}).values()
    return found


def around(function: Function) -> Function:
    """Make a function that holds another one."""
    return lambda x: function(x)


class Adder:
    """Something that can be called."""

    def __init__(self, more: int) -> None:
        self.more = more

    def __call__(self, x: int) -> int:
        return x + self.more

    def add(self, x: int) -> int:
        """Add."""
        return x + self.more


WAYS: dict[str, Callable[[Function], Any]] = {
    "plain": lambda f: mark(f, 1),
    "partial": lambda f: mark(partial(f, 1)),
    "in a partial": lambda f: mark(partial(map, f), [1]),
    "as an argument": lambda f: mark(map, f, [1]),
    "as a keyword": lambda f: mark(max, [1], default=f),
    "around": lambda f: mark(around(f), 1),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_edited_code_has_another_mark(way: Callable[[Function], bytes]) -> None:
    before = way(written())
    assert way(written()) == before
    assert way(written(place="b.py")) == before
    assert way(written("return helper(x) + 2")) != before
    assert way(written("return helper(x) + helper(1)")) != before
    assert way(written(helper="return x * 2")) != before


def test_other_data_is_no_other_code() -> None:
    assert mark(written(), 1) == mark(written(), np.arange(10))
    assert mark(Adder(1), 1) == mark(Adder(2), 1)
    assert mark(Adder(1).add, 1) == mark(Adder(2).add, 1)
    assert mark(Adder(1).add, 1) != mark(Adder(1), 1)
    assert mark(np.add, 1, 2) == mark(np.add, 3, 4) != mark(np.subtract, 1, 2)
    assert mark(len, [1]) != mark(sum, [1])
    assert mark(Adder, 1) == mark(Adder, 2)


def test_constants_and_sets_count() -> None:
    one = mark(written("return x in {'a', 'b', 'c', 4, (1, 2)}"), 1)
    assert one == mark(written("return x in {'c', 'b', 'a', 4, (1, 2)}"), 1)
    assert one != mark(written("return x in {'a', 'b', 'd', 4, (1, 2)}"), 1)


def test_a_docstring_is_no_code() -> None:
    known: list[bytes] = []
    for doc in ("One.", "Another."):
        space: dict[str, Any] = {"__name__": "__main__"}
        exec(f"def f(x):\n    '''{doc}'''\n    return x\n", space)
        known.append(mark(space["f"], 1))
    assert len({*known}) == 1


def test_functions_that_call_each_other_come_to_an_end() -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec("def f(x):\n    return g(x)\n\ndef g(x):\n    return f(x)\n", space)
    assert mark(space["f"], 1) == mark(space["f"], 2) != mark(space["g"], 1)


def test_of_many_functions_of_one_prefix_the_first_ones_are_looked_at() -> None:
    marker, opened = CodeMarker(), []
    marker._opened = lambda value: opened.append(value) or (b"", [])  # type: ignore[method-assign, assignment]
    keys = [f"f-{n:032x}" for n in range(1000)]
    first = marker.of_graph({key: Task(key, partial(written(), n)) for n, key in enumerate(keys)})
    assert first.keys() == {"f"}
    assert len({id(one) for one in opened}) == MOST_OF_PREFIX


def test_marks_are_by_prefix_and_stay_until_there_are_others() -> None:
    marker = CodeMarker()
    tasks: dict[Any, Any] = {("f-0123456789abcdef0123456789abcdef", n): None for n in range(3)}
    tasks = {key: Task(key, written(), n) for n, key in enumerate(tasks)}
    tasks |= {
        "data": DataNode("data", 1),
        "g-1": Task("g-1", sum, List(TaskRef("data"), Task("inner", written(), 1))),
    }
    first = marker.of_graph(tasks)
    assert first.keys() == {"f", "g"}
    second = marker.of_graph({"g-2": Task("g-2", sum, List(TaskRef("data")))})
    assert second.keys() == {"g"}
    assert marker.codes == first | second
