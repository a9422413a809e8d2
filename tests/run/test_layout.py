"""Values that share an object are found where they are said to be."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.run import codec
from dask_knot.run.layout import lay_out, ranges
from dask_knot.run.manifest import Place


def test_each_value_is_aligned_and_found() -> None:
    values = {"a": b"x", "b": np.arange(7.0), "c": None}
    pieces, places = lay_out("name", {key: codec.pickled(value) for key, value in values.items()})
    whole = b"".join(pieces)
    for key, place in places.items():
        assert place.name == "name"
        assert place.offset % codec.ALIGNMENT == 0
        found = codec.decode(whole[place.offset : place.offset + place.length])
        assert np.array_equal(found, values[key])
    assert places["c"].offset + places["c"].length == len(whole)


def test_nothing_is_no_bytes() -> None:
    assert lay_out("name", {}) == ([], {})


NAMES = ("a", "b")


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.integers(1, 5_000), st.integers(0, 3_000))),
    st.integers(1, 20_000),
    st.randoms(use_true_random=False),
)
def test_ranges_hold_each_value_once_within_bounds(
    values: list[tuple[str, int, int]], most: int, random: Random
) -> None:
    ends = dict.fromkeys(NAMES, 0)
    places = []
    for name, length, gap in values:
        places.append(Place(name, ends[name] + gap, length))
        ends[name] += gap + length
    random.shuffle(places)
    found = ranges(places, most)
    assert sorted(number for group in found for number in group) == [*range(len(places))]
    assert [min(group) for group in found] == [*dict.fromkeys(min(group) for group in found)]
    for group in found:
        inside = [places[number] for number in group]
        assert len({place.name for place in inside}) == 1
        assert inside == sorted(inside, key=lambda place: place.offset)
        wanted = sum(place.length for place in inside)
        read = inside[-1].offset + inside[-1].length - inside[0].offset
        assert wanted <= most or len(group) == 1
        # Before each value of a range there is no longer gap than what was read, or what aligns it.
        assert read <= wanted * len(group) + codec.ALIGNMENT * len(group)


def test_one_range_is_read_of_each_object() -> None:
    places = [Place(name, 100 * n, 100) for n in range(10) for name in NAMES]
    assert [len(group) for group in ranges(places, 2_000)] == [10, 10]
    assert [len(group) for group in ranges(places, 1_000)] == [5, 5, 5, 5]
