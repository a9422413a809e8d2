"""Items come in blocks; those that take their time don't hold up the ones before."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import chain

import pytest

from dask_knot.errors import ItemsError
from dask_knot.knot.blocks import FIRST, MOST, blocks, read_ahead


def failing(count: int) -> Iterator[int]:
    """Give so many items, then raise."""
    yield from range(count)
    raise OSError("the disk is gone")


def test_blocks_become_larger() -> None:
    sizes = [len(block) for block in blocks(range(3 * MOST))]
    assert sizes[0] == FIRST
    assert max(sizes) == MOST
    assert sum(sizes) == 3 * MOST
    assert list(blocks(())) == []


@pytest.mark.parametrize("count", [0, 1, FIRST, FIRST + 1])
def test_what_was_read_before_an_error_comes_first(count: int) -> None:
    read = read_ahead(failing(count))
    found: list[int] = []
    with pytest.raises(
        ItemsError, match=f"stopped after {count:,}: .* OSError: the disk is gone"
    ) as e:
        found.extend(chain.from_iterable(read))
    assert found == list(range(count))
    assert isinstance(e.value.__cause__, OSError)


def test_what_is_read_ahead_is_all_of_it() -> None:
    sizes = [len(block) for block in read_ahead(iter(range(5 * MOST)))]
    assert sum(sizes) == 5 * MOST
    assert max(sizes) <= MOST
    assert list(read_ahead(iter(()))) == []


def test_items_come_while_the_next_one_is_waited_for() -> None:
    more = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        more.wait(60)
        yield 2

    read = read_ahead(items())
    assert next(read) == [1]
    more.set()
    assert next(read) == [2]
    assert list(read) == []


def test_nothing_is_read_any_more_when_nobody_takes_it() -> None:
    read_items: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10 * MOST):
            read_items.append(number)
            yield number

    read = read_ahead(items())
    next(read)
    read.close()
    assert len(read_items) < 5 * MOST
