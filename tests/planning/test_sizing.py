"""How many columns there are, and which tasks are in them, as tables."""

from __future__ import annotations

import pytest

from dask_knot.planning import Limits
from dask_knot.planning.sizing import chunk, count_columns, count_unknown, spread


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


@pytest.mark.parametrize(
    ("deviation", "columns"),
    [(0.0, 16), (0.3, 16), (1.0, 32), (3.0, 32), (6.0, 48), (100.0, 128)],
)
def test_uneven_tasks_have_more_columns(deviation: float, columns: int) -> None:
    limits = Limits(16, shards_per_slot=8, target_seconds=240, job_start_seconds=6)
    assert count_columns(1000.0, 1000, limits, 1000 * deviation**2) == columns


def test_uneven_tasks_too_short_for_all_slots_have_no_more_columns() -> None:
    limits = Limits(16, target_seconds=240, job_start_seconds=60)
    assert count_columns(100.0, 1000, limits, 1e6) == count_columns(100.0, 1000, limits)


@pytest.mark.parametrize(
    ("unknown", "tasks", "columns"),
    [(0.0, 5, 1), (1.0, 5, 1), (3.0000000001, 5, 3), (3.5, 5, 4), (40.0, 5, 5), (1e6, 1000, 8)],
)
def test_count_unknown(unknown: float, tasks: int, columns: int) -> None:
    assert count_unknown(unknown, tasks, Limits(2)) == columns


def test_tasks_longer_than_a_column_have_one_each() -> None:
    dealt = spread(range(6), [10.0, 10.0, 1.0, 1.0, 1.0, 1.0], range(6), 4)
    assert dealt == [[0], [1], [2, 4], [3, 5]]


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
