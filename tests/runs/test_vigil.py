"""While somebody watches, jobs tell how they fare; afterwards nothing says that anybody did."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_knot.run.asks import Asks, Vitals
from dask_knot.run.names import ShardId, StageId
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.runs.inquiry import Crew
from dask_knot.runs.vigil import FAR, NEAR, Vigil
from tests.runs.asked import AskedChild, Time, crew, left

FIRST, SECOND = StageId(0, 0), StageId(0, 1)
SHARDS = [ShardId(FIRST, 0), ShardId(SECOND, 0)]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(Store(tmp_path / "store"), "run")


class Late(AskedChild):
    """A child that tells once more than it should."""

    def __init__(self, run: Run, shard: ShardId, vitals: Vitals) -> None:
        super().__init__(run, shard)
        self._vitals = vitals

    def look(self) -> None:
        """Tell."""
        self.run.inquiries.tell_vitals(self.shard, self._vitals)


def test_jobs_tell_as_soon_as_they_have_looked(run: Run, tmp_path: Path) -> None:
    time = Time([AskedChild(run, shard, "load-1") for shard in SHARDS])
    vigil = Vigil(lambda: crew(run, SHARDS), time.now, time.pause)
    assert vigil.look() == []
    time.pause(1)
    signs = vigil.look()
    assert {sign.shard for sign in signs} == {*SHARDS}
    assert {sign.vitals.tasks[0].key for sign in signs} == {"load-1"}
    late = run.inquiries.vitals()
    time.children = [Late(run, SHARDS[0], late[SHARDS[0]])]  # it had read what is taken back
    vigil.close()
    assert left(tmp_path / "store") == []


def test_what_others_have_left_is_not_told(run: Run) -> None:
    run.inquiries.tell_vitals(SHARDS[0], Vitals("old", 9, "job", "host", 1, 0.5, 1, 2))
    time = Time()
    vigil = Vigil(lambda: crew(run, SHARDS), time.now, time.pause)
    assert vigil.look() == []
    time.pause(1)
    assert vigil.look() == []
    run.inquiries.tell_vitals(SHARDS[0], Vitals("old", 10, "job", "host", 1, 0.5, 1, 2))
    assert [sign.vitals.number for sign in vigil.look()] == [10]  # somebody else watches as well


@pytest.mark.parametrize("is_near", [True, False], ids=["folder", "elsewhere"])
def test_new_jobs_are_looked_for_and_asked(run: Run, is_near: bool) -> None:
    run = run if is_near else Run(Store("memory://"), "run")
    there = SHARDS[:1]
    time = Time()

    def find() -> Crew:
        return crew(run, list(there))

    vigil = Vigil(find, time.now, time.pause)
    vigil.look()
    there.append(SHARDS[1])
    time.pause((NEAR if is_near else FAR) - 0.5)
    vigil.look()
    assert run.inquiries.read(SECOND) == Asks()
    time.pause(1)
    vigil.look()
    assert run.inquiries.read(SECOND).watch


def test_who_ends_leaves_the_others_watching(run: Run) -> None:
    time = Time()
    first, second = (Vigil(lambda: crew(run, SHARDS), time.now, time.pause) for _ in range(2))
    first.look()
    second.look()
    watch = run.inquiries.read(FIRST).watch
    first.close()
    assert run.inquiries.read(FIRST).watch == watch
    second.close()
    assert run.inquiries.read(FIRST) == Asks()
