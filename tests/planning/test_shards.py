"""Prefixes are those of Dask, however they are found."""

from __future__ import annotations

from collections import Counter

from dask.utils import key_split
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.planning.shards import count_prefixes

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
