"""Numbers of things in words."""

from __future__ import annotations

import pytest

from dask_knot.plural import many


@pytest.mark.parametrize(
    ("counts", "words"),
    [((0,), "0 tasks"), ((1,), "1 task"), ((1234,), "1,234 tasks"), ((1, 1), "1, 1 tasks")],
)
def test_many(counts: tuple[int, ...], words: str) -> None:
    assert many("task", *counts) == words
