"""Values that share an object are found where they are said to be."""

from __future__ import annotations

import numpy as np

from dask_knot.run import codec
from dask_knot.run.layout import lay_out


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
