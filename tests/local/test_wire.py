"""Messages survive any cut of their bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dask_knot.local.wire import Unpacker, pack

MESSAGES = [{"do": "start", "path": "/tmp/\udcff", "number": 1}, {}, {"x": ["ä"] * 50}]


@given(st.lists(st.integers(min_value=1, max_value=40)))
def test_any_cut(cuts: list[int]) -> None:
    data = b"".join(pack(message) for message in MESSAGES)
    unpacker, found, start = Unpacker(), [], 0
    for size in [*cuts, len(data)]:
        found += list(unpacker.feed(data[start : start + size]))
        start += size
    assert found == MESSAGES
