"""How many columns there are, and which tasks are in them, as tables."""

from __future__ import annotations

import pytest

from dask_knot.planning import Limits
from dask_knot.planning.sizing import chunk, count_columns, spread


@pytest.mark.parametrize(
    ("seconds", "tasks", "columns"),
    [
        (0.0, 10, 1),
        (0.03, 10, 1),  # a second job would start for longer than it works
        (0.4, 10, 2),  # the second slot is idle
        (1.0, 10, 2),
        (1.4, 10, 4),  # full rounds on 2 slots
        (1.4, 3, 3),  # a column begins with a task
        (100.0, 1000, 8),
    ],
)
def test_count_columns(seconds: float, tasks: int, columns: int) -> None:
    assert count_columns(seconds, tasks, Limits(2)) == columns


def test_no_more_than_8_shards_a_slot() -> None:
    assert count_columns(100.0, 1000, Limits(2, shards_per_slot=50)) == 16


def test_equal_parts_are_dealt_in_turn() -> None:
    assert spread(range(7), [1.0] * 7, range(7), 3) == [[0, 3, 6], [1, 4], [2, 5]]


def test_the_heaviest_part_comes_first() -> None:
    assert spread(range(5), [1.0, 1.0, 1.0, 1.0, 4.0], range(5), 2) == [[4], [0, 1, 2, 3]]


def test_a_large_part_is_cut_into_ranges() -> None:
    assert spread(range(6), [1.0] * 6, [0] * 6, 3) == [[0, 1], [2, 3], [4, 5]]


def test_small_parts_fill_up_beside_a_large_one() -> None:
    components = [0, 0, 0, 0, 4, 5, 6, 7]
    assert spread(range(8), [1.0] * 8, components, 4) == [[0, 1], [2, 3], [4, 6], [5, 7]]


def test_chunks_keep_to_the_most_tasks() -> None:
    assert chunk(range(5), [5.0, 0.1, 0.1, 0.1, 0.1], 2, 2) == [[0], [1, 2], [3, 4]]
