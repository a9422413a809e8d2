"""Objects are weighed without looking at all of them."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import numpy as np
import pytest
from dask._task_spec import TaskRef

from dask_knot.graphs.weighing import is_heavy

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
