"""Requests are counted as S3 does for its bill."""

from __future__ import annotations

import pytest

from dask_knot.run.traffic import LISTED, Traffic

PART = 16


@pytest.mark.parametrize(
    ("size", "parts"),
    [(0, 0), (PART - 1, 0), (PART, 2), (PART + 1, 3), (3 * PART, 4)],
)
def test_an_object_in_parts_takes_its_parts_and_one_that_joins_them(size: int, parts: int) -> None:
    traffic = Traffic("s3://bucket")
    traffic.note("put")
    traffic.note_parts(size, PART)
    assert traffic.copy()[0] == ({"put": 1, "part": parts} if parts else {"put": 1})


@pytest.mark.parametrize(
    ("objects", "more"), [(0, 0), (LISTED, 0), (LISTED + 1, 1), (3 * LISTED, 2)]
)
def test_a_long_list_takes_a_request_for_each_thousand(objects: int, more: int) -> None:
    traffic = Traffic("s3://bucket")
    traffic.note("list")
    traffic.note_listed(objects)
    assert traffic.copy()[0]["list"] == 1 + more


def test_a_folder_has_neither() -> None:
    traffic = Traffic("file:///folder")
    traffic.note_listed(10 * LISTED)
    traffic.note_parts(10 * PART, PART)
    assert traffic.copy()[0] == {}


def test_bytes_are_counted_by_their_way() -> None:
    traffic = Traffic("s3://bucket")
    for way, size in (("read", 3), ("written", 0), ("read", 4)):
        traffic.note_moved(way, size)
    assert traffic.copy()[1] == {"read": 7}
