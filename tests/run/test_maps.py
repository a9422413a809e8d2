"""The maps of a run: each has a number of its own, and tables of places take few bytes."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.run.manifest import Place
from dask_knot.run.maps import MapRecord, PlaceTable
from dask_knot.run.presence import RunInfo
from dask_knot.run.run import Run
from dask_knot.run.store import Store

PLACES = st.builds(
    Place, st.sampled_from(["a", "b", "c"]), st.integers(0, 2**40), st.integers(0, 2**40)
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Begin a named run."""
    made = Run(Store(tmp_path.as_uri()), "pi")
    made.record.found(RunInfo(1.0, "ada@host", "local", "0"))
    return made


def test_each_map_has_a_number_of_its_own(run: Run) -> None:
    others = Run(Store(run.store_url), "pi")
    given = MapRecord("pi", 0, 1.5, items=3, function="count", pickle=b"f")
    first = run.record.maps.claim(given)
    second = others.record.maps.claim(given)
    assert [(one.number, one.name) for one in (first, second)] == [(0, "pi-0"), (1, "pi-1")]
    assert run.record.maps.read_all() == [first, second]
    ended = MapRecord("pi-1", 0, 1.5, 1, 7, "count", error="it ended")
    others.record.maps.write(ended)
    assert run.record.maps.read_all() == [first, ended]


def test_a_map_that_is_damaged_is_left_out(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    first = run.record.maps.claim(MapRecord("pi", 0, 1.5))
    run.record.maps.claim(MapRecord("pi", 0, 1.5))
    run._store.put(run.names.map(1), [b"KO nonsense that is long enough"])
    with caplog.at_level(logging.WARNING):
        assert run.record.maps.read_all() == [first]
    assert "skipping a map" in caplog.text


def test_what_was_taken_is_found(run: Run) -> None:
    table = PlaceTable()
    table.put(1, Place("a", 2, 3))
    assert dict(run.record.maps.read_taken(0).items()) == {}
    run.record.maps.write_taken(0, table)
    assert dict(run.record.maps.read_taken(0).items()) == {1: Place("a", 2, 3)}
    assert run.record.maps.read_all() == []  # a table is no map


@given(st.dictionaries(st.integers(0, 50), PLACES))
def test_a_table_gives_what_was_put(places: dict[int, Place]) -> None:
    table = PlaceTable()
    for number, place in places.items():
        table.put(number, place)
    assert dict(table.items()) == places
    assert [table.get(number) for number in (-1, 51)] == [None, None]
    outside = dict(table.outside(lambda name: name == "a").items())
    assert outside == {n: place for n, place in places.items() if place.name != "a"}


def test_values_belong_to_the_session_that_planned_them(run: Run) -> None:
    names = run.names
    assert names.session_of_data("pi/data/7f/0003000001-000-00003.000a1") == 3
    assert names.session_of_data("pi/manifests/0000000007-000/00003.end") == 0
    assert names.session_of_data("pi/scattered/0000000007") is None
