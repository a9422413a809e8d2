"""A child looks ever more seldom whether it is still needed, and stays when it can't tell."""

from __future__ import annotations

from itertools import pairwise

import pytest

from dask_knot.errors import StoreError
from dask_knot.job import parts
from dask_knot.job.parts import LONGEST, Interest, Wish
from dask_knot.run.names import ShardId
from dask_knot.run.orders import Orders
from dask_knot.run.run import Run
from dask_knot.run.store import Store

from .runs import FIRST


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(parts, "time", made)
    return made


def test_who_is_named_is_unneeded(clock: Clock) -> None:
    store = Store("memory://")
    children = {n: Interest(Run(store, "run"), ShardId(FIRST, n), 5.0) for n in (0, 1, 2, 12)}
    Run(store, "run").tell_orders(FIRST, Orders(frozenset([1, 12, 30])))
    assert {child.look() for child in children.values()} == {Wish.NOTHING}
    assert "get" not in store.requests  # not before its time
    clock.now = 5.0
    assert [n for n, child in children.items() if child.look() is Wish.END] == [1, 12]


def test_who_is_asked_hands_over_unless_nobody_needs_it(clock: Clock) -> None:
    store = Store("memory://")
    children = [Interest(Run(store, "run"), ShardId(FIRST, n), 5.0) for n in range(4)]
    Run(store, "run").tell_orders(FIRST, Orders(frozenset([1, 2]), frozenset([2, 3])))
    clock.now = 5.0
    assert [child.look() for child in children] == [
        Wish.NOTHING,
        Wish.END,
        Wish.END,
        Wish.HAND_OVER,
    ]


def test_it_looks_ever_more_seldom(clock: Clock) -> None:
    store = Store("memory://")
    child = Interest(Run(store, "run"), ShardId(FIRST, 0), 5.0)
    looks = []
    for second in range(3600):
        clock.now = float(second)
        before = store.requests["get"]
        assert child.look() is Wish.NOTHING
        looks += [second] * (store.requests["get"] - before)
    assert looks[:5] == [5, 15, 35, 55, 75]
    assert {later - one for one, later in pairwise(looks[2:])} == {LONGEST * 5}


def test_a_store_that_is_away_ends_nobody(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(name: str) -> memoryview:
        raise StoreError("no route to host")

    store = Store("memory://")
    child = Interest(Run(store, "run"), ShardId(FIRST, 0), 5.0)
    monkeypatch.setattr(store, "get", away)
    clock.now = 100.0
    assert child.look() is Wish.NOTHING
