"""Values that share an object are found where they are said to be."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.run import codec, layout
from dask_knot.run.codec import Bytes
from dask_knot.run.layout import BUFFER_BYTES, Layout, lay_out, ranges
from dask_knot.run.manifest import Place
from dask_knot.run.writer import HeldWriter


def test_each_value_is_aligned_and_found() -> None:
    values = {"a": b"x", "b": np.arange(7.0), "c": None}
    wholes = {key: codec.whole(codec.pickled(value)) for key, value in values.items()}
    pieces, places = lay_out("name", wholes)
    data = b"".join(pieces)
    for key, place in places.items():
        assert place.name == "name"
        assert place.offset % codec.ALIGNMENT == 0
        found = codec.decode(data[place.offset : place.offset + place.length])
        assert np.array_equal(found, values[key])
    assert places["c"].offset + places["c"].length == len(data)


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


@given(st.lists(st.binary(max_size=200), max_size=5), st.sampled_from([1, 7, 64, 1000]))
def test_values_are_written_one_by_one(values: list[bytes], buffer: int) -> None:
    held: list[bytes] = []
    writer = HeldWriter(lambda pieces: held.append(b"".join(pieces)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "BUFFER_BYTES", buffer)
        laid = Layout("name", writer)
        parts = [codec.pickled([np.frombuffer(value, "u1"), value]) for value in values]
        places = [laid.add(one) for one in parts]
    writer.commit()
    (data,) = held
    for place, value in zip(places, values, strict=True):
        assert place.offset % codec.ALIGNMENT == 0
        array, same = codec.decode(data[place.offset : place.offset + place.length])
        assert (array.tobytes(), same) == (value, value)
    assert sum(place.length for place in places) <= len(data)


class Meddler(HeldWriter):
    """Changes an array whenever some of it is written."""

    def __init__(self, array: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        super().__init__(self.hold)
        self.array = array
        self.data = b""

    def hold(self, pieces: object) -> None:
        self.data = b"".join(pieces)  # type: ignore[arg-type]

    def write(self, data: Bytes) -> None:
        super().write(data)
        self.array += 1


def test_what_changes_while_it_is_written_is_no_damage() -> None:
    array = np.zeros(BUFFER_BYTES, "i8")
    meddler = Meddler(array)
    place = Layout("name", meddler).add(codec.pickled(array))
    meddler.commit()
    found = codec.decode(meddler.data[: place.length])
    assert sorted(set(found.tolist())) == [*range(9)]
