"""What a run did cost, read from its store: by manifests, and by Batch as far as it still knows."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dask_knot.batch.rules import JobStatus
from dask_knot.batch.runjobs import RunJob
from dask_knot.errors import AwsError
from dask_knot.prices.bill import Bill
from dask_knot.prices.money import Money
from dask_knot.run.machine import LOCAL, Machine
from dask_knot.run.manifest import Manifest, Work
from dask_knot.run.names import ManifestId, ShardId, StageId
from dask_knot.run.store import Store
from dask_knot.runs.billing import run_bill
from dask_knot.runs.depot import Depot, JobAccess
from dask_knot.runs.jobs import KnownJobs
from dask_knot.runs.overview import read_record
from tests.local.recording import RecordingBatch
from tests.prices.sheets import PRICES

from .stores import MadeRun

#: 0.1 dollars an hour for 2 vCPUs; a job has one of them, and the run has two shards.
M5 = Machine("ip", "m5.large", "", "on-demand", "x86_64")
FIRST, SECOND = ShardId(StageId(0, 0), 0), ShardId(StageId(0, 0), 1)


def made(folder: Path, engine: str = "aws") -> MadeRun:
    """Make a run of one stage of two shards."""
    one = MadeRun(folder, engine=engine)
    one.open()
    one.plan(0, [["load-0", "load-1"]])
    return one


def commit(
    one: MadeRun, shard: ShardId, machine: Machine, seconds: float, attempt: int = 1
) -> None:
    """Commit a shard whose program ran for some seconds, half of them with a task."""
    times = array("d", [100 + seconds / 2, 100 + seconds])
    work = {"load": Work(1, seconds / 2)}
    done = Manifest(True, attempt, (), (), work, times.tobytes(), machine=machine, started=100.0)
    assert one.run.write_manifest(ManifestId(shard, None), done, []) is not None


def described(id: str, *attempts: tuple[float, float]) -> dict[str, Any]:
    """Say what Batch does of a child that has ended."""
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "1024"}]
    times = [{"startedAt": start * 1000, "stoppedAt": stop * 1000} for start, stop in attempts]
    container = {"resourceRequirements": needs}
    return {"jobId": id, "status": "SUCCEEDED", "container": container, "attempts": times}


def bill(
    folder: Path,
    known: KnownJobs | None = None,
    details: Mapping[str, dict[str, Any]] | None = None,
    batch: RecordingBatch | None = None,
) -> Bill:
    client = batch or RecordingBatch()
    client.details = dict(details or {})
    access = JobAccess(client, "queue", lambda stream, lines: ())
    depot = Depot(str(folder), "aws", Store(folder), access, region="here")
    return run_bill(
        depot,
        read_record(depot, "climate"),
        known or KnownJobs({}),
        lambda: PRICES,
        lambda: 10_000.0,
    )


KNOWN = KnownJobs({StageId(0, 0): RunJob("job", "", StageId(0, 0), JobStatus.SUCCEEDED, 2)})


def test_batch_tells_times_and_attempts_as_long_as_it_knows_them(tmp_path: Path) -> None:
    one = made(tmp_path)
    commit(one, FIRST, M5, 600)
    commit(one, SECOND, M5, 600, attempt=2)
    twice = described("job:1", (0, 200), (300, 1000))
    twice["attempts"][0]["container"] = twice["attempts"][1]["container"] = {
        "containerInstanceArn": "arn:i-1"
    }
    details = {"job:0": described("job:0", (0, 800)), "job:1": twice}
    found = bill(tmp_path, KNOWN, details)
    # Half of 0.1 dollars: 800 s, and of the second shard the lost attempt, too.
    assert found.total.low == pytest.approx(0.5 * 0.1 * (800 + 200 + 700) / 3600)
    assert found.total.is_exact
    assert found.attempts == 3
    assert found.task_seconds == {"load": 600}
    assert found.idle_seconds == 800 + 200 + 700 - 600


def test_manifests_tell_times_that_batch_has_forgotten(tmp_path: Path) -> None:
    one = made(tmp_path)
    commit(one, FIRST, M5, 600)
    batch = RecordingBatch()
    found = bill(tmp_path, batch=batch)
    assert found.total.low == pytest.approx(0.5 * 0.1 * 600 / 3600)
    assert any("taken from manifests" in note for note in found.notes)
    assert batch.calls == [], "it lists no job of the run"


def test_batch_that_cannot_be_asked_is_told(tmp_path: Path) -> None:
    commit(made(tmp_path), FIRST, M5, 600)
    assert "no credentials" in bill(tmp_path, KnownJobs({}, False, "no credentials")).notes

    class Refusing(RecordingBatch):
        def describe_jobs(self, **request: Any) -> Any:
            raise AwsError("you may not DescribeJobs")

    found = bill(tmp_path, KNOWN, batch=Refusing())
    assert "you may not DescribeJobs" in found.notes
    assert found.total.low == pytest.approx(0.5 * 0.1 * 600 / 3600)


def test_twins_are_paid_as_well(tmp_path: Path) -> None:
    commit(made(tmp_path), FIRST, M5, 600, attempt=51)
    twin = RunJob("twin", "", StageId(0, 0), JobStatus.SUCCEEDED, twin=0)
    known = KnownJobs(KNOWN.jobs, twins=[twin])
    details = {"job:0": described("job:0", (0, 900)), "twin": described("twin", (0, 700))}
    found = bill(tmp_path, known, details)
    assert found.seconds == 900 + 700
    assert found.known == Money(0.5 * 0.1 * 700 / 3600)
    assert len(found.unknown) == 1, "the child has left no manifest"


def test_twins_that_batch_has_forgotten_are_paid_as_well(tmp_path: Path) -> None:
    one = made(tmp_path)
    commit(one, FIRST, M5, 600, attempt=51)
    commit(one, SECOND, M5, 600)
    found = bill(tmp_path)
    assert found.attempts == 2
    assert found.total.low == pytest.approx(0.5 * 0.1 * 1200 / 3600)
    # Its child is known, the twin is not.
    details = {"job:0": described("job:0"), "job:1": described("job:1", (0, 900))}
    found = bill(tmp_path, KNOWN, details)
    assert found.total.low == pytest.approx(0.5 * 0.1 * 1500 / 3600)


def test_a_run_of_this_machine_costs_nothing(tmp_path: Path) -> None:
    one = made(tmp_path, engine="local")
    commit(one, FIRST, Machine("me", lifecycle=LOCAL), 3600)
    found = bill(tmp_path)
    assert str(found.total) == "0 USD"
    assert found.vcpu_hours == pytest.approx(1)
    assert "0 USD: this machine" in found.notes


def test_a_damaged_manifest_keeps_nobody_from_the_rest(tmp_path: Path) -> None:
    one = made(tmp_path)
    commit(one, FIRST, M5, 600)
    commit(one, SECOND, M5, 600)
    name = one.run.names.manifest(SECOND)
    (tmp_path / name).write_bytes(b"damaged")
    assert bill(tmp_path).total.low == pytest.approx(0.5 * 0.1 * 600 / 3600)


def test_jobs_of_all_sessions_are_on_the_bill(tmp_path: Path) -> None:
    one = made(tmp_path)
    commit(one, FIRST, M5, 600)
    second = one.open()  # of another client, a day later
    one.plan(second, [["fit-0"]])
    commit(one, ShardId(StageId(second, 0), 0), M5, 1200)
    found = bill(tmp_path)
    assert found.total.low == pytest.approx(0.5 * 0.1 * (600 + 1200) / 3600)
    assert [*found.stages] == [str(StageId(0, 0)), str(StageId(second, 0))]
