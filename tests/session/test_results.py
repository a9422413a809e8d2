"""What a run was asked for, as its record, its objects and its jobs tell it; details when seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dask_knot.errors import AwsError, CorruptObjectError
from dask_knot.run.manifest import Place
from dask_knot.run.names import ManifestId, ShardId, StageId
from dask_knot.run.record import ScatterRecord
from dask_knot.run.run import Run
from dask_knot.session import results
from dask_knot.session.results import Results, ResultState, read_results
from tests.runs.stores import MadeRun


class Batch:
    """A Batch that knows the jobs of some stages, and their states."""

    def __init__(self, **jobs: str) -> None:
        self.jobs = jobs
        self.error: Exception | None = None

    def list_jobs(self, **request: Any) -> dict[str, Any]:
        """List jobs of the run."""
        if self.error is not None:
            raise self.error
        assert request["filters"] == [{"name": "JOB_NAME", "values": ["climate-*"]}]
        names = {f"climate-{'0' * 9}{name[1:]}-000": status for name, status in self.jobs.items()}
        summaries = [{"jobName": n, "jobId": n, "status": s} for n, s in names.items()]
        return {"jobSummaryList": summaries}


class HeldEngine:
    """An engine whose jobs may go on without their session."""

    def __init__(self, jobs_stay: bool, batch: Batch | None = None) -> None:
        self.jobs_stay = jobs_stay
        self.client = batch or Batch()
        self.template = self
        self.queue = "queue"


@pytest.fixture
def made(tmp_path: Path) -> MadeRun:
    return MadeRun(tmp_path)


def read(made: MadeRun, prefix: str = "", engine: HeldEngine | None = None) -> Results:
    chosen: Any = engine or HeldEngine(jobs_stay=False)
    return read_results(made.run, chosen, prefix)


def shard(plan: int, index: int = 0) -> ShardId:
    return ShardId(StageId(plan, 0), index)


def states(results: Results) -> dict[Any, str]:
    return {result.key: result.state.value for result in results}


def test_every_key_that_was_wanted_the_newest_first(made: MadeRun) -> None:
    first = made.open(is_alive=True)
    for number, name in enumerate(["load-1", "load-2", "mean-1", "mean-2"]):
        made.plan(first + number, [[name]])
    made.finish(shard(first))
    made.err(shard(first + 1))
    made.lose(shard(first + 2))
    found = read(made)
    assert found.keys == ["mean-2", "mean-1", "load-2", "load-1"]
    assert states(found) == {
        "load-1": "stored",
        "load-2": "failed",
        "mean-1": "lost",
        "mean-2": "running",
    }
    last = found[-1]
    assert (last.type, last.nbytes, last.session) == ("int", 28, 0)
    assert last.age > 10**9  # it was made long before all this
    assert 1700 < found[0].age < 2000
    assert [result.key for result in found[1:3]] == ["mean-1", "load-2"]
    with pytest.raises(IndexError):
        found[4]


def test_keys_that_shards_made_for_each_other_are_not_there(made: MadeRun) -> None:
    first = made.open()
    made.plan(first, [["load-1", "load-2"], ["mean-1"]])
    assert read(made).keys == ["mean-1"]


@pytest.mark.parametrize("is_alive", [True, False])
def test_what_parts_tell_is_there_whatever_becomes_of_the_rest(
    made: MadeRun, is_alive: bool
) -> None:
    names = ["load-1", "load-2", "load-3", "mean-1"]
    plan = made.planned(made.open(is_alive=is_alive), [names])
    (stage,) = plan.stages
    wide = replace(stage, outputs=[3, 1], sizes=[3, 1])
    made.run.record.append(replace(plan, stages=[wide], wanted=range(4)), 0)
    made.part(shard(0), 0, values=[1])
    made.part(shard(0), 1, failures=[0])
    rest = "running" if is_alive else "lost"
    found = read(made)
    assert states(found) == {
        "load-1": "failed",
        "load-2": "stored",
        "load-3": rest,
        "mean-1": rest,
    }
    (stored,) = (one for one in found if one.key == "load-2")
    assert (stored.type, stored.nbytes) == ("int", 28)


def test_what_is_in_more_parts_than_are_read_is_told_as_its_shard(
    made: MadeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "MOST", 1)
    plan = made.planned(made.open(is_alive=True), [["load-1", "load-2"]])
    made.run.record.append(replace(plan, wanted=range(2)), 0)
    for index in range(2):
        made.part(shard(0, index), 0, values=[0])
    assert states(read(made)) == {"load-1": "stored", "load-2": "running"}


def test_what_a_session_left_undone_here_is_lost(made: MadeRun) -> None:
    made.plan(made.open(is_alive=False), [["load-1"]])
    assert states(read(made)) == {"load-1": "lost"}


def test_a_key_that_was_asked_for_again_counts_once(made: MadeRun) -> None:
    first = made.open()
    made.plan(first, [["load-1"]])
    second = made.open()
    made.plan(second, [["load-1"]])
    made.finish(shard(second))
    [result] = read(made)
    assert (result.state, result.session) == (ResultState.STORED, 1)


def test_values_that_were_scattered(made: MadeRun) -> None:
    places = {"a": Place("climate/scattered/0", 0, 10), ("b", 1): Place("x", 10, 20)}
    made.run.record.append(ScatterRecord(3, 5.0, places), 0)
    found = read(made)
    assert [(result.key, result.nbytes, result.session) for result in found] == [
        ("a", 10, 3),
        (("b", 1), 20, 3),
    ]
    assert states(found) == {"a": "stored", ("b", 1): "stored"}
    assert read(made, "b").keys == [("b", 1)]


def test_a_prefix_chooses(made: MadeRun) -> None:
    first = made.open()
    made.plan(first, [["load-1"]])
    made.plan(first + 1, [["mean-1"]])
    assert read(made, "mean").keys == ["mean-1"]
    assert len(read(made, "nothing")) == 0


@pytest.mark.parametrize(
    ("jobs", "state"),
    [({"p0": "RUNNING"}, "running"), ({"p0": "FAILED"}, "lost"), ({}, "lost")],
)
def test_jobs_that_go_on_are_asked_for(tmp_path: Path, jobs: dict[str, str], state: str) -> None:
    made = MadeRun(tmp_path, engine="aws")
    made.plan(made.open(), [["load-1"]])
    engine = HeldEngine(True, Batch(**jobs))
    assert states(read(made, engine=engine)) == {"load-1": state}
    made.finish(shard(0))
    engine.client.error = AwsError("it isn't asked for what is there")
    assert states(read(made, engine=engine)) == {"load-1": "stored"}


def test_only_manifests_of_what_is_seen_are_read(
    made: MadeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made.open()
    for number in range(5):
        made.plan(first + number, [[f"load-{number}"]])
        made.finish(shard(first + number))
    asked: list[ManifestId] = []
    reads = Run.read_manifest

    def read_manifest(run: Run, id: ManifestId) -> Any:
        asked.append(id)
        if id.shard == shard(first + 2):
            raise CorruptObjectError("damaged")
        return reads(run, id)

    monkeypatch.setattr(Run, "read_manifest", read_manifest)
    found = read(made)
    assert asked == []
    assert [result.type for result in found[1:3]] == ["int", ""]
    assert {id.shard for id in asked} == {shard(first + 2), shard(first + 3)}
    assert [result.type for result in found] == ["int", "int", "", "int", "int"]
