"""Which tasks are tried: from the smallest to the largest, with what they need, and no more."""

from __future__ import annotations

import pytest
from dask.typing import Key
from dask.utils import key_split
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.estimates.sampling import (
    MOST_BEFORE,
    NEEDS_OTHERS,
    NEEDS_TOO_MUCH,
    PART,
    Extent,
    Sampling,
    abscissas,
    choose_samples,
    spread_ranks,
)

Reads = dict[Key, set[Key]]


def chosen(reads: Reads, extents: dict[Key, Extent] | None = None, count: int = 3) -> Sampling:
    """Choose of a graph in which nothing else can be read."""
    known = extents or dict.fromkeys(reads, Extent())
    return choose_samples(reads, known, lambda key: key == "literal", count)


@pytest.mark.parametrize(
    ("extents", "places"),
    [
        ([Extent(10_000, 3), Extent(90_000, 1)], [10_000, 90_000]),
        ([Extent(10_000, 3), Extent(10_001, 1)], [3, 1]),  # bytes that hardly differ
        ([Extent(8, 3), Extent(80, 1)], [3, 1]),  # so few bytes
        ([Extent(10_000, 3), Extent(10_000, 3)], [0, 1]),
        ([Extent()], [0]),
    ],
)
def test_tasks_are_told_apart_by_bytes_or_numbers_or_places(
    extents: list[Extent], places: list[float]
) -> None:
    assert abscissas(extents) == places


@given(st.integers(1, 9), st.integers(1, 200))
def test_ranks_are_spread_evenly(count: int, total: int) -> None:
    ranks = spread_ranks(count, total)
    assert len(set(ranks)) == len(ranks) == min(count, total)
    assert ranks == sorted(ranks)
    if count > 1:
        assert (ranks[0], ranks[-1]) == (0, total - 1)


def test_of_each_prefix_the_smallest_the_median_and_the_largest() -> None:
    reads: Reads = {("load", i): {"literal"} for i in range(9)}
    extents = {("load", i): Extent(1e6 * (9 - i)) for i in range(9)}
    found = chosen(reads, extents)  # type: ignore[arg-type]
    assert found.chosen == {"load": (("load", 8), ("load", 4), ("load", 0))}
    assert found.tasks == [("load", 0), ("load", 4), ("load", 8)]


def test_what_is_tried_before_is_not_counted_again() -> None:
    steps = ("load", "clean", "fit", "save")
    reads: Reads = {
        (step, i): {(steps[n - 1], i)} if n else set()
        for n, step in enumerate(steps)
        for i in range(20)
    }
    found = chosen(reads)
    assert [*found.chosen] == [*steps]
    assert len(found.tasks) == 3 * len(steps)


def test_what_needs_everything_is_left_out_and_said() -> None:
    reads: Reads = {("load", i): set() for i in range(100)}
    reads["total"] = {*reads}
    found = chosen(reads)
    assert found.left_out == {"total": NEEDS_TOO_MUCH}
    assert len(found.tasks) == 3


def test_what_reads_other_values_is_left_out_and_said() -> None:
    found = chosen({("fit", 0): {"there"}, ("fit", 1): {("fit", 0)}})
    assert found.left_out == {"fit": NEEDS_OTHERS}
    assert found.tasks == []


def test_only_what_is_to_run_is_chosen_but_all_that_it_needs_runs() -> None:
    reads: Reads = {("load", 0): set(), ("fit", 0): {("load", 0)}}
    found = chosen(reads, {("fit", 0): Extent()})
    assert [*found.chosen] == ["fit"]
    assert found.tasks == [("load", 0), ("fit", 0)]


@st.composite
def graphs(draw: st.DrawFn) -> Reads:
    """Draw graphs of a few prefixes."""
    reads: Reads = {}
    for number in range(draw(st.integers(1, 40))):
        prefix = draw(st.sampled_from("abc"))
        before = [*reads]
        read = draw(st.sets(st.sampled_from(before), max_size=4)) if before else set()
        reads[prefix, number] = read
    return reads


@given(graphs(), st.integers(1, 5))
def test_whatever_is_tried_has_what_it_needs_and_is_bounded(reads: Reads, count: int) -> None:
    found = chosen(reads, count=count)
    tasks = {*found.tasks}
    assert all(reads[key] <= tasks for key in tasks)
    assert {key for keys in found.chosen.values() for key in keys} <= tasks
    prefixes = {key_split(key) for key in reads}
    assert found.chosen.keys() | found.left_out.keys() == prefixes
    most = max(MOST_BEFORE * count, len(reads) // PART)
    assert len(tasks) <= len(prefixes) * count * most
