"""What was written by a request whose answer was lost is ours, and nobody else's."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from dask_knot.run.codec import Bytes
from dask_knot.run.maps import MapRecord
from dask_knot.run.names import PLANS_PER_SESSION
from dask_knot.run.ownership import put_ours
from dask_knot.run.presence import RunInfo
from dask_knot.run.run import Run
from dask_knot.run.store import Store


class Repeating(Store):
    """As an S3 whose first answer is lost: it is asked again, and the object is there."""

    def put_new(self, name: str, data: Iterable[Bytes]) -> bool:
        """Write it, and say that it was there."""
        super().put_new(name, data)
        return False


@pytest.fixture
def run() -> Run:
    """Begin a named run."""
    made = Run(Repeating("memory://"), "pi")
    made.record.found(RunInfo(1.0, "ada@host", "local", "0"))
    return made


def test_what_is_ours_is_told_from_what_is_not() -> None:
    store = Repeating("memory://")
    assert put_ours(store, "a", [b"on", b"e"])
    assert put_ours(store, "a", [b"one"])
    assert not put_ours(store, "a", [b"two"])
    assert store.get("a") == b"one"


def test_a_session_takes_no_second_number(run: Run) -> None:
    assert run.claim_session() == 0
    assert run.record.list_sessions() == [0]
    assert run.claim_session() == PLANS_PER_SESSION


def test_a_map_takes_no_second_name(run: Run) -> None:
    assert run.record.maps.claim(MapRecord("pi", 0, 1.5)).name == "pi-0"
    assert len(run.record.maps.read_all()) == 1
