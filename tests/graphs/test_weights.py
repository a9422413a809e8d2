"""Objects are weighed without looking at all of them."""

from __future__ import annotations

import sys
import weakref
from functools import partial
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dask._task_spec import Task, TaskRef

from dask_knot.graphs.constants import Constants
from dask_knot.graphs.lifting import lift
from dask_knot.graphs.weights import is_heavy, is_tangled

LARGE = np.zeros(20_000)
SMALL = np.zeros(20)


class Holder:
    """Holds something in an attribute."""

    def __init__(self, held: object) -> None:
        self.held = held

    def method(self) -> object:
        return self.held


class Odd:
    """Raises where one looks."""

    @property
    def nbytes(self) -> int:
        raise RuntimeError("not now")


def capture(held: object) -> Any:
    return lambda: held


def default(held: object) -> Any:
    return lambda held=held: held


@pytest.mark.parametrize(
    "around",
    [
        lambda x: x,
        lambda x: [1, x],
        lambda x: (x,),
        lambda x: {"a": {"b": [x]}},
        Holder,
        lambda x: Holder(Holder([x])),
        lambda x: Holder(x).method,
        partial(partial, print),
        lambda x: partial(print, a=x),
        capture,
        default,
    ],
)
def test_it_looks_inside(around: Any) -> None:
    assert is_heavy(around(LARGE), 65_536)
    assert not is_heavy(around(SMALL), 65_536)


@pytest.mark.parametrize(
    ("heavy", "light"),
    [
        ("x" * 70_000, "x" * 60_000),
        (b"x" * 70_000, b"x" * 60_000),
        (list(range(9000)), list(range(8000))),
        ({n: n for n in range(9000)}, {n: n for n in range(8000)}),
        (set(range(9000)), set(range(8000))),
        (["x" * 100] * 700, ["x" * 100] * 500),
        (np.broadcast_to(np.zeros(1), 10**6), np.broadcast_to(np.zeros(1), 10)),
    ],
)
def test_sizes(heavy: object, light: object) -> None:
    assert is_heavy(heavy, 65_536)
    assert not is_heavy(light, 65_536)


@pytest.mark.parametrize("value", [(), [], {}, None, int, sys, Odd(), TaskRef("a"), len, is_heavy])
def test_what_is_always_small(value: object) -> None:
    assert not is_heavy(value, 65_536)


def test_a_circle_comes_to_an_end() -> None:
    circle: list[object] = []
    circle += [circle, circle]
    assert is_heavy(circle, 65_536)


class Proxy:
    """Says that it is something else, and finds out what whenever it is asked for anything."""

    __slots__ = ("__weakref__",)

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"somebody asked a proxy for {name}")

    @property
    def __class__(self) -> Any:
        raise AssertionError("somebody asked a proxy for its class")

    @__class__.setter
    def __class__(self, kind: type) -> None: ...

    def __len__(self) -> int:
        raise AssertionError("somebody asked a proxy for its length")

    def __sizeof__(self) -> int:
        raise AssertionError("somebody asked a proxy for its size")


class Meta(type):
    """Makes classes that can't be compared."""

    def __eq__(cls, other: object) -> bool:
        raise AssertionError("somebody compared a class")

    __hash__ = None  # type: ignore[assignment]


class Incomparable(metaclass=Meta):
    pass


class Loads:
    """Loads what it holds when it is asked for its size."""

    @property
    def nbytes(self) -> int:
        raise AssertionError("somebody asked for nbytes")

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise AssertionError("somebody asked for __dict__")

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"somebody asked for {name}")


class LoadsArray(np.ndarray[Any, Any]):
    """An array whose size is not what it says."""

    @property
    def nbytes(self) -> int:  # type: ignore[override]
        raise AssertionError("somebody asked for nbytes")


class Slots:
    """Holds what it holds in slots, one of them empty."""

    __slots__ = ("empty", "held")

    def __init__(self, held: object) -> None:
        self.held = held


def dead_proxy() -> Any:
    return weakref.proxy(Holder(1))


class LazyModule(ModuleType):
    """Would be loaded if it were asked for anything."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"somebody asked a module for {name}")


def of_lazy_module() -> Any:
    return FunctionType((lambda: 1).__code__, {"__name__": "tests_lazy"}, "f")


ASKED: dict[str, Any] = {
    "proxy": Proxy,
    "dead proxy": dead_proxy,
    "proxy of a proxy": lambda: weakref.proxy(KEPT),
    "class that can't be compared": Incomparable,
    "the class itself": lambda: Incomparable,
    "attributes": Loads,
    "lazy module": of_lazy_module,
}
KEPT = Holder(1)


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize(
    "around",
    [
        lambda x: x,
        lambda x: [x, 1],
        lambda x: {"a": (x,)},
        Holder,
        lambda x: [Holder({1: x})] * 5,
        capture,
        default,
        lambda x: partial(print, x),
    ],
)
def test_nothing_is_asked(name: str, around: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tests_lazy", LazyModule("tests_lazy"))
    value = around(ASKED[name]())
    assert not is_heavy(value, 65_536)
    assert not is_tangled([value])


@pytest.mark.parametrize("around", [lambda x: x, lambda x: (x,), capture])
def test_a_class_that_cant_be_compared_is_lifted(around: Any) -> None:
    value = around(Incomparable())
    (lifted,) = lift({"t": Task("t", type, value)}, ["t"], Constants()).values()
    assert lifted.key == "t"


def test_arrays_of_other_classes_and_objects_with_slots() -> None:
    assert is_heavy(LARGE.view(LoadsArray), 65_536)
    assert not is_heavy(SMALL.view(LoadsArray), 65_536)
    assert is_heavy(Slots([LARGE]), 65_536)
    assert not is_heavy(Slots(SMALL), 65_536)
    assert is_heavy(pd.DataFrame({"x": LARGE}), 65_536)
    assert is_heavy(memoryview(LARGE), 65_536)
