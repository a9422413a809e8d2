"""Children whose work is committed and that don't end are ended, each looked at once."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from dask_knot.batch.service import JobService, JobTemplate, StageJob
from dask_knot.planning import Resources
from dask_knot.run.manifest import Manifest
from dask_knot.run.names import ShardId, StageId
from dask_knot.session.overstays import OverstayWatch
from dask_knot.tracking.events import ManifestFound

ARRAY, ALONE, OVER = StageId(1, 0), StageId(1, 1), StageId(2, 0)


class Batch:
    """Answers what runs."""

    def __init__(self, *running: str) -> None:
        self.running = set(running)
        self.asked: list[str] = []
        self.ended: list[str] = []
        self.away: Exception | None = None

    def describe_jobs(self, *, jobs: list[str]) -> dict[str, Any]:
        """Describe jobs that aren't arrays."""
        if self.away is not None:
            raise self.away
        self.asked += jobs
        states = {True: "RUNNING", False: "SUCCEEDED"}
        return {"jobs": [{"jobId": id, "status": states[id in self.running]} for id in jobs]}

    def list_jobs(self, *, arrayJobId: str, jobStatus: str, nextToken: str = "") -> dict[str, Any]:
        """List children, one on each page."""
        assert jobStatus == "RUNNING"
        self.asked.append(arrayJobId)
        found = sorted(id for id in self.running if id.startswith(f"{arrayJobId}:"))
        place = int(nextToken or 0)
        page = {"jobSummaryList": [{"jobId": id} for id in found[place : place + 1]]}
        return page | ({"nextToken": str(place + 1)} if place + 1 < len(found) else {})

    def terminate_job(self, *, jobId: str, reason: str) -> dict[str, Any]:
        """Note what is ended."""
        assert "committed" in reason
        self.ended.append(jobId)
        return {}


def make(batch: Any) -> OverstayWatch:
    resources = Resources(1, 2**30)
    service: Any = JobService(batch, JobTemplate("n", "q", "i"), lambda *_: ())
    jobs = {
        ARRAY: StageJob("array", 3, resources),
        ALONE: StageJob("alone", 1, resources),
        OVER: StageJob("over", 2, resources, is_over=True),
    }
    for id, job in jobs.items():
        service._submitted.add(id, job)
    return OverstayWatch(service, after=60)


def done(stage: StageId, index: int, final: bool = True) -> ManifestFound:
    manifest = Manifest(final, (), (), {}, b"", b"")
    return ManifestFound(ShardId(stage, index), "name", manifest)


def test_only_what_is_done_and_runs_is_ended() -> None:
    batch = Batch("array:0", "array:1", "array:2", "alone", "over:0")
    overstays = make(batch)
    assert overstays.due() is None
    parts = done(ARRAY, 2, final=False)
    overstays.note([done(ARRAY, 0), parts, done(ALONE, 0), done(OVER, 0), object()], now=10)
    overstays.note([done(ARRAY, 1)], now=50)
    assert overstays.due() == 70
    overstays.end(now=69)
    assert batch.asked == []
    overstays.end(now=70)
    assert batch.ended == ["alone", "array:0"]
    assert "over" not in batch.asked
    assert overstays.due() == 110
    overstays.end(now=110)
    assert batch.ended == ["alone", "array:0", "array:1"]
    assert overstays.due() is None


def test_what_has_ended_is_left_alone() -> None:
    batch = Batch()
    overstays = make(batch)
    overstays.note([done(ARRAY, 0), done(ALONE, 0)], now=0)
    overstays.end(now=60)
    assert (batch.ended, sorted(batch.asked)) == ([], ["alone", "array"])
    assert overstays.due() is None


def test_when_batch_is_away_it_is_asked_again_later(caplog: pytest.LogCaptureFixture) -> None:
    batch = Batch("alone")
    overstays = make(batch)
    overstays.note([done(ALONE, 0)], now=0)
    batch.away = ConnectionError("no route")  # which is told by those who watch
    with caplog.at_level(logging.DEBUG, "dask_knot"):
        overstays.end(now=60)
    (record,) = caplog.records
    assert "could not be stopped: no route" in record.message
    assert record.levelno == logging.DEBUG
    assert (overstays.due(), overstays.stages, batch.ended) == (120, {ALONE}, [])
    batch.away = None
    overstays.end(now=120)
    assert (overstays.due(), overstays.stages, batch.ended) == (None, set(), ["alone"])
