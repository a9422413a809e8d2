"""Items are looked at before anything is submitted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from dask._task_spec import DataNode, TaskRef

from dask_knot.errors import ItemsError, PicklingError
from dask_knot.knot.items import ItemCheck, MapItems, MapWork
from tests.knot.functions import add, double


@pytest.mark.parametrize(
    ("func", "starmap", "items"),
    [
        (double, False, [1, "a", None]),
        (add, False, [1, 2]),
        (add, True, [(1,), (1, 2), [3, 4], np.array([5, 6])]),
        (len, False, ["a"]),
        (print, True, [(), (1, 2, 3)]),
        (dict, False, [()]),  # it doesn't tell what it takes
        (lambda *all: all, True, [(1, 2, 3)]),
        (double, False, []),
    ],
)
def test_items_that_fit(func: Callable[..., Any], starmap: bool, items: Iterable[Any]) -> None:
    ItemCheck(func, starmap).check(items)


@pytest.mark.parametrize(
    ("func", "starmap", "items", "words"),
    [
        (lambda: 1, False, [7], "can't be called with item 5, which is one argument"),
        (lambda a, b: 1, False, [7], "with starmap=True each item is unpacked"),
        (add, True, [(1, 2), (1, 2, 3)], r"item 6, which is 3 arguments, \(1, 2, 3\)"),
        (add, True, [(1, 2), 3], "item 6 is 3: with starmap=True each item is a tuple"),
        (add, True, ["ab"], "item 5 is 'ab'"),
        (add, True, [(1,), np.array(5)], r"item 6 is array\(5\): with starmap=True"),
    ],
)
def test_items_that_a_function_cannot_take(
    func: Callable[..., Any], starmap: bool, items: Iterable[Any], words: str
) -> None:
    with pytest.raises(ItemsError, match=words):
        ItemCheck(func, starmap).check(items, 5)


@pytest.mark.parametrize(
    ("starmap", "items"),
    [(False, [1, threading.Lock()]), (True, [(1, 2), (1, threading.Lock())])],
)
def test_the_item_that_cannot_be_pickled_is_named(starmap: bool, items: list[Any]) -> None:
    with pytest.raises(PicklingError, match=r"item 1, .*lock.*TypeError"):
        ItemCheck(add, starmap).check(items)


class Leaving:
    """An item that ends the program when it is pickled."""

    def __reduce__(self) -> Any:
        raise SystemExit(3)


def test_an_item_that_ends_the_program_is_named() -> None:
    with pytest.raises(PicklingError, match=r"item 1, .*SystemExit"):
        ItemCheck(double, False).check([0, Leaving()])


def test_an_item_whose_own_code_raises_is_named() -> None:
    class Sticky:
        def __repr__(self) -> str:
            return "sticky" * 20

        def __reduce__(self) -> Any:
            raise RuntimeError("no")

    with pytest.raises(PicklingError, match=r"item 1, (sticky)+.*[.]{3}, can't.*RuntimeError: no"):
        ItemCheck(double, False).check([0, Sticky()])


@pytest.mark.parametrize("items", [[1, 2], (1, 2), {1, 2}, {1: 0, 2: 0}, range(1, 3)], ids=str)
def test_what_can_be_looked_at_is_looked_at_first(items: Any) -> None:
    found = MapItems.of(items, ItemCheck(double, False))
    assert (list(found.items), found.count, found.check) == ([1, 2], 2, None)
    with pytest.raises(ItemsError):
        MapItems.of(items, ItemCheck(lambda: 0, False))


def test_a_list_that_is_changed_afterwards_is_mapped_as_it_was() -> None:
    items = [1, 2]
    found = MapItems.of(items, ItemCheck(double, False))
    items.append(3)
    assert list(found.items) == [1, 2]


def test_a_generator_is_read_later() -> None:
    read = []
    found = MapItems.of((read.append(n) for n in range(3)), ItemCheck(double, False))
    assert (read, found.count) == ([], None)
    assert found.check is not None


class Broken:
    """Items that can't be read, whatever they say of themselves."""

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[int]:
        raise ValueError("no connection")


@pytest.mark.parametrize(
    ("items", "words"),
    [
        (Broken(), "no connection"),
        (range(10**20), "too large"),
    ],
    ids=["broken", "endless"],
)
def test_items_that_cannot_be_read_at_all(items: Any, words: str) -> None:
    with pytest.raises(ItemsError, match=words):
        MapItems.of(items, ItemCheck(double, False))


def test_nothing_to_iterate_over_is_refused() -> None:
    with pytest.raises(ItemsError, match="7 isn't an iterable of items"):
        MapItems.of(7, ItemCheck(double, False))


def test_an_item_that_is_a_node_of_a_graph_is_a_value() -> None:
    node = DataNode("x", 1)
    tasks = MapWork("map", type, variables={}).tasks([node, TaskRef("y")], 3)
    assert [*tasks] == [("map", 3), ("map", 4)]
    assert [task.dependencies for task in tasks.values()] == [frozenset(), frozenset()]
    assert [task({}) for task in tasks.values()] == [DataNode, TaskRef]
