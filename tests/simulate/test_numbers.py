"""Each number of the simulated world says what it is, in which unit, and from where."""

from __future__ import annotations

import re

from benchmarks.simulate.numbers import ASSUMED, MEASURED, Numbers, rows

SOURCES = re.compile(rf"https?://|{ASSUMED}|{MEASURED}|[a-z]+/[a-z]+\.py|knot\.yaml")


def test_every_number_has_a_unit_and_a_source() -> None:
    for row in rows(Numbers()):
        assert row.what, row
        assert row.value > 0, row
        assert SOURCES.search(row.source), row


def test_a_varied_world_shows_its_numbers() -> None:
    values = {row.name: row.value for row in rows(Numbers(placement=7.0))}
    assert values["placement"] == 7.0
    assert values["s3_latency"] == Numbers().s3_latency
