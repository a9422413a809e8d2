"""Prefixes are those of Dask, however they are found; and in which order a shard runs its tasks."""

from __future__ import annotations

from collections import Counter

import pytest
from dask.typing import Key
from dask.utils import key_split
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.planning import Limits, PlanRequest, make_plan
from dask_knot.planning.shards import count_prefixes, from_both_ends

WORDS = st.sampled_from(
    [
        "x",
        "sum",
        "mean_chunk",
        "ab12",
        "1",
        "abcdefab",
        "('x",
        "",
        "ae05086432ca935f6eba409a8ecd4896",
    ]
)
NAMES = st.lists(WORDS, min_size=1, max_size=5).map("-".join)
KEYS = NAMES | st.tuples(NAMES, st.integers()) | st.integers() | NAMES.map(str.encode)


@given(st.lists(KEYS))
def test_they_are_those_of_dask(keys: list[object]) -> None:
    assert count_prefixes(keys) == Counter(map(key_split, keys))


def test_they_stand_in_the_order_of_the_tasks() -> None:
    assert list(count_prefixes(["load-1", ("sum-2", 0), "load-3", "add-4"])) == [
        "load",
        "sum",
        "add",
    ]


@pytest.mark.parametrize(
    ("tasks", "parts", "order"),
    [
        ([], [], []),
        ([3, 4], [3, 4], [3, 4]),
        ([1, 3, 5], [1, 3, 5], [5, 1, 3]),
        ([0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5], [5, 0, 4, 1, 3, 2]),
        ([0, 1, 2, 3, 4, 5], [0, 2, 4], [4, 5, 0, 1, 2, 3]),  # chains of two
        ([0, 1, 2, 3], [0], [0, 1, 2, 3]),
    ],
)
def test_parts_of_unknown_length_run_from_both_ends(
    tasks: list[int], parts: list[int], order: list[int]
) -> None:
    assert from_both_ends(tasks, parts) == order


@pytest.mark.parametrize("is_ordered", [False, True])
def test_whoever_says_what_comes_first_gets_it_first(is_ordered: bool) -> None:
    keys: list[Key] = [f"f-{n}" for n in range(6)]
    asked = PlanRequest(dict.fromkeys(keys, ()), keys, Limits(1, 1), is_ordered=is_ordered)
    (stage,) = make_plan(asked).stages
    (shard,) = stage.shards
    assert (shard.tasks == tuple(keys)) is is_ordered
    assert sorted(shard.tasks) == keys


def test_only_parts_that_read_nothing_of_each_other_change_places() -> None:
    pairs = {f"{name}-{n}": [f"a-{n}"] if name == "b" else [] for n in range(4) for name in "ab"}
    asked = PlanRequest(pairs, [f"b-{n}" for n in range(4)], Limits(1, 1))
    (stage,) = make_plan(asked).stages
    (shard,) = stage.shards
    assert shard.tasks == ("a-3", "b-3", "a-0", "b-0", "a-2", "b-2", "a-1", "b-1")
