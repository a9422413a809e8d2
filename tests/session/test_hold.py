"""A session takes hold of a named run: it begins it, or reads what was recorded."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from dask_knot.errors import ReadOnlyStoreError, RunNameError
from dask_knot.run.record import PlanRecord, RecordedStage
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.runs.machine import own_info
from dask_knot.session.clockwork import Clockwork
from dask_knot.session.hold import NOBODY, Hold, take_hold
from dask_knot.session.virtual import AtOnce

WHO = own_info("local")
CLOCKWORK = Clockwork(executor=lambda name, count: AtOnce(), epoch=lambda: 7.0)


@pytest.fixture
def run() -> Run:
    return Run(Store("memory://"), "run")


def taken(run: Run, who: object = WHO) -> Hold:
    return take_hold(run, who, CLOCKWORK, reuses=True)  # type: ignore[arg-type]


def test_the_first_session_begins_the_run(run: Run) -> None:
    hold = taken(run)
    assert (hold.session, hold.first, list(hold.entries)) == (0, 0, [])
    info = run.record.read_info()
    assert (info.by, info.engine) == (f"{WHO.user}@{WHO.host}", "local")
    assert run.record.read_session(0) == WHO


def test_a_later_one_reads_what_was_recorded(run: Run) -> None:
    taken(run)
    stage = RecordedStage((), {"f": 1}, 1, None, 0, [1], [1])
    run.record.append(PlanRecord(0, 1.0, [stage], ["f-1"], bytes(16), [0]), 0)
    hold = taken(run)
    assert hold.session == 1
    assert hold.first > 0
    (entry,) = hold.entries
    assert isinstance(entry, PlanRecord)
    assert list(entry.keys) == ["f-1"]
    assert hold.recorder.news() == []


def test_other_versions_are_said(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    taken(run, replace(WHO, versions={**WHO.versions, "numpy": "1.0", "python": "3.9"}))
    with caplog.at_level(logging.WARNING):
        taken(run)
        (line,) = caplog.messages
        assert "python 3.9 (here " in line
        assert "numpy 1.0 (here " in line
        taken(run)
    assert len(caplog.messages) == 1  # the session before was like this one


def test_what_is_no_run_is_left_alone(run: Run) -> None:
    run._store.put("run/data.csv", [b"1,2"])
    with pytest.raises(RunNameError, match=r"data\.csv"):
        taken(run)
    assert run._store.list("") == ["run/data.csv"]


class ReadOnly(Store):
    """A store that nobody may write."""

    def put(self, name: str, data: object) -> None:
        raise ReadOnlyStoreError(f"{name} may not be written")

    def put_new(self, name: str, data: object) -> bool:
        raise ReadOnlyStoreError(f"{name} may not be written")


def test_what_can_only_be_read_is_read(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    taken(run)
    store = ReadOnly("memory://")
    store._store = run._store._store
    hold = taken(Run(store, "run"))
    assert hold.session == NOBODY
    assert "is read-only here" in caplog.text
    assert hold.refusal is not None
    with pytest.raises(ReadOnlyStoreError):
        taken(Run(store, "another"))
