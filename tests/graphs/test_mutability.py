"""What a task could change, and what two values share: tables of what users write."""

from __future__ import annotations

import datetime
import functools
import logging
import operator
import random
import statistics
import types
from collections import Counter, OrderedDict, deque, namedtuple
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from dask._task_spec import Task
from toolz import compose
from toolz.functoolz import Compose

from dask_knot.graphs.mutability import Sharing, can_change
from tests.end_to_end.tasks import Model


class Point(NamedTuple):
    x: Any
    y: Any


class Color(Enum):
    RED = 1


Pair = namedtuple("Pair", "a b")
LIMIT = 3
SEEN: list[int] = []


def by_value(source: str, name: str = "f", **known: Any) -> Any:
    """Make a function of a script."""
    module = types.ModuleType("__main__")
    module.__dict__.update(known)
    exec(source, module.__dict__)
    return module.__dict__[name]


FIXED_FUNCTIONS = {
    "nothing": "def f(x): return x",
    "a constant": "LIMIT = 3\ndef f(x): return x + LIMIT",
    "a tuple": "NAMES = ('a', ('b', 1.5))\ndef f(x, y=NAMES): return NAMES",
    "a module": "import numpy as np\ndef f(x): return np.sum(x)",
    "another function": "def g(x): return x\ndef f(x): return g(x)",
    "itself": "def f(x): return x if x < 2 else f(x - 1)",
    "its own variables": "def f(x):\n    found = []\n    found.append(x)\n    return found",
    "variables of functions inside": (
        "def f(x):\n    n = 0\n    def g():\n        nonlocal n\n        n += 1\n"
        "    g()\n    return n"
    ),
    "a class": "class K:\n    def __init__(self):\n        self.x = 1\ndef f(x): return K()",
    "a class that calls super": (
        "class K(Exception):\n    def __init__(self):\n        super().__init__('a')\n"
        "def f(x): return K()"
    ),
    "a cache": "import functools\n@functools.lru_cache\ndef g(x): return x\ndef f(x): return g(x)",
    "lambdas": "f = lambda x: (lambda y: y + x)(1)",
    "keywords": "def f(x, *, a=1, b='c'): return x",
    "wrapped": ("import functools\ndef g(x): return x\n@functools.wraps(g)\ndef f(x): return g(x)"),
}
CHANGING_FUNCTIONS = {
    "a counter": "N = 0\ndef f(x):\n    global N\n    N += 1\n    return N",
    "a global that is deleted": "N = 0\ndef f(x):\n    global N\n    del N",
    "a list": "SEEN = []\ndef f(x): SEEN.append(x)",
    "a list in a tuple": "SEEN = ([],)\ndef f(x): SEEN[0].append(x)",
    "a generator": "import random\nR = random.Random(1)\ndef f(x): return R.random()",
    "a default": "def f(x, found=[]): found.append(x)",
    "a default by keyword": "def f(x, *, found={}): found[x] = 1",
    "an attribute of its own": "def f(x): f.n = getattr(f, 'n', 0) + 1",
    "an attribute that it has": "def f(x): f.n.append(x)\nf.n = []",
    "another's global": "N = []\ndef g(x): N.append(x)\ndef f(x): return g(x)",
    "a function inside": "N = []\ndef f(x):\n    def g(): N.append(x)\n    return g()",
    "a class's counter": "class K:\n    n = 0\ndef f(x): K.n += 1",
    "a class's list": "class K:\n    seen = []\ndef f(x): K.seen.append(x)",
    "a class's counter by itself": (
        "class K:\n    n = 0\n    def __init__(self): type(self).n += 1\ndef f(x): return K()"
    ),
    "a base's list": "class B:\n    n = []\nclass K(B): pass\ndef f(x): K.n.append(x)",
    "by name": "N = 0\ndef f(x): globals()['N'] += 1",
    "a captured counter": (
        "def make():\n    n = 0\n    def f(x):\n        nonlocal n\n        n += 1\n    return f\n"
        "f = make()"
    ),
    "a captured list": (
        "def make():\n    n = []\n    def f(x): n.append(x)\n    return f\nf = make()"
    ),
}


@pytest.mark.parametrize("name", FIXED_FUNCTIONS)
def test_functions_that_change_nothing(name: str) -> None:
    assert not can_change(by_value(FIXED_FUNCTIONS[name]))


@pytest.mark.parametrize("name", CHANGING_FUNCTIONS)
def test_functions_that_may_change_something(name: str) -> None:
    assert can_change(by_value(CHANGING_FUNCTIONS[name]))


def test_a_function_of_a_module_has_the_state_of_the_process() -> None:
    assert not can_change(by_value)
    assert not can_change(statistics.mean)


@pytest.mark.parametrize(
    "value",
    [
        *(None, 1, 2.5, 1j, "text", b"bytes", (1, ("a",)), frozenset({1}), slice(1, 2), range(3)),
        *(..., NotImplemented, int, Model, len, np.sum, np.add, np.float64(1), np.dtype("f4")),
        *(datetime.date(2020, 1, 1), datetime.timedelta(1), Path("a"), Color.RED, Point(1, "a")),
        *(pd.Timestamp("2020"), pd.Timedelta("1h"), pd.CategoricalDtype(["a"]), Pair(1, (2,))),
        *(partial(len, 1), operator.itemgetter(1), str.upper, operator.methodcaller("a")),
    ],
    ids=lambda value: repr(value).partition(" at 0x")[0],  # the same in all processes
)
def test_values_that_cant_be_changed(value: Any) -> None:
    assert not can_change(value)


@dataclass
class Settings:
    factor: float = 1.0


@pytest.mark.parametrize(
    "value",
    [
        *([], {}, set(), bytearray(), deque(), Counter(), OrderedDict(), (1, [2]), Point(1, [])),
        *(Settings(), Model(np.ones(1)), Model(np.ones(1)).predict, random.Random(1).random),
        *(np.ones(1), np.random.default_rng(), np.random.RandomState(1), np.zeros(1, "i4,f4")[0]),
        *(pd.DataFrame(), pd.Series(dtype=float), partial(len, []), iter([1]), object()),
        *(logging.Formatter(), functools.partial(Model.predict, Model(np.ones(1)))),
        *([].append, {}.__setitem__, ([1].pop,)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_that_can_be_changed(value: Any) -> None:
    assert can_change(value)


def test_a_value_that_holds_itself_comes_to_an_end() -> None:
    knot: Any = ([],)
    knot[0].append(knot)
    assert can_change(knot)


class Holder:
    """Holds something."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def method(self) -> None:
        """Do nothing."""


ONE: list[int] = []
HOLDER = Holder(ONE)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[1], [1]], False),
        ([ONE, [ONE]], True),
        ([HOLDER, ONE], True),
        ([HOLDER.method, HOLDER], True),
        ([Holder([]), Holder([])], False),
        ([Holder(Point(1, "a")), Holder(Point(1, "a"))], False),
        ([by_value("N = []\ndef f(x): N.append(x)"), []], False),
        ([np.ones(3), np.ones(3)], False),
        ([{"a": Model}, {"b": Model}], False),
    ],
)
def test_what_two_values_share(values: list[Any], expected: bool) -> None:
    assert Sharing().among(values) is expected


class Trap:
    """Raises whatever is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(name)

    def __len__(self) -> int:
        raise AssertionError

    def __bool__(self) -> bool:
        raise AssertionError


def test_nothing_of_a_users_object_is_called() -> None:
    assert can_change(Trap())
    assert can_change((1, Trap()))
    assert not Sharing().among([Trap(), [Trap()]])


def test_what_dask_makes_of_functions_and_types_is_fixed() -> None:
    tasks = (da.ones((4, 4), chunks=2) + 1).sum().__dask_graph__()
    functions = [task.func for task in dict(tasks).values() if isinstance(task, Task)]
    assert [function for function in functions if can_change(function)] == []
    assert not can_change(np.empty((0, 0)))
    assert can_change(compose(SEEN.append, len))


@pytest.mark.parametrize("function", [np.add, np.frompyfunc(len, 1, 1), operator.add])
def test_functions_without_a_module(function: Any) -> None:
    assert not can_change(partial(function, 1))
    assert not can_change(compose(partial(function, 1), len))


def test_what_lacks_what_its_kind_has_can_be_changed() -> None:
    broken = types.FunctionType((lambda: None).__code__, {})
    broken.__module__ = None  # type: ignore[assignment]
    assert not can_change(broken)
    unset: Any = Compose.__new__(Compose)
    assert can_change(unset)
