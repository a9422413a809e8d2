"""What tasks have cost: taken from manifests, kept in the run, known to the next session."""

from __future__ import annotations

import dask
import pytest

from dask_knot.errors import ConfigurationError
from dask_knot.planning import Cost
from dask_knot.run.manifest import Manifest, Work
from dask_knot.run.names import PLANS_PER_SESSION, Names, ShardId, StageId
from dask_knot.run.profile import Profile, ProfileKey, TaskCosts
from dask_knot.session.costs import WRITTEN_EVERY, CostSheet, assumed, costs_of, recalled
from dask_knot.tracking.events import ChildFailed, Ending, ManifestFound
from dask_knot.tracking.memory import Allowance, MemoryNeeds


def manifest(peak: int = 100) -> Manifest:
    """Tell of two tasks of 1 and 3 s that load, and one of 2 s that fails, with two threads."""
    work = {
        "load": Work(2, 4.0, 80, 2, 0, 10.0, 3.0, peak),
        "fit": Work(1, 2.0, 0, 0, 1, 4.0, 2.0, 0, cpu=3.0),
    }
    return Manifest(True, 1, (), work=work, peak=700, reserved=50)


def found(session: int = 2, peak: int = 100) -> ManifestFound:
    """Find such a manifest of a session."""
    shard = ShardId(StageId(session * PLANS_PER_SESSION, 0), 0)
    return ManifestFound(shard, Names("run").manifest(shard), manifest(peak))


def test_costs_of_a_manifest_are_by_prefix() -> None:
    assert costs_of(manifest()) == {
        "load": TaskCosts(2, 4.0, 10.0, 3.0, 80, 2, 100, 1, 50),
        "fit": TaskCosts(1, 2.0, 4.0, 2.0, 0, 0, 0, 1, 50, 1.5),
    }
    assert costs_of(Manifest(True, 1, ())) == {}


def test_the_peak_of_a_job_that_ran_one_prefix_is_that_of_its_tasks() -> None:
    alone = Manifest(True, 1, (), work={"fit": Work(1, 2.0)}, peak=700)
    assert costs_of(alone)["fit"].peak == 700


def test_a_session_counts_its_own_and_writes_the_sum_now_and_then() -> None:
    written: list[Profile] = []
    now = [0.0]
    costs = CostSheet(written.append, 2, {"load": b"code"}, lambda: now[0], MemoryNeeds())
    costs.write()
    assert written == []
    lost = ChildFailed(ShardId(StageId(0, 0), 0), Ending.KILLED, OSError())
    costs.take([found(), found(peak=300), found(session=1), lost])
    assert not costs.is_due
    now[0] = WRITTEN_EVERY
    assert costs.is_due
    costs.write()
    assert not costs.is_due
    (profile,) = written
    assert profile.costs[ProfileKey("load", b"code")] == TaskCosts(
        4, 8.0, 20.0, 3.0, 160, 4, 300, 2, 50
    )
    assert profile.costs[ProfileKey("fit", b"")].tasks == 2
    costs.write()
    assert len(written) == 1


def test_the_memory_that_tasks_needed_is_written_and_recalled() -> None:
    written: list[Profile] = []
    needs = MemoryNeeds()
    needs.allow(Allowance(3))
    sheet = CostSheet(written.append, 2, {"load": b"code"}, lambda: 0.0, needs)
    for kind, enough in ((("load", b"code"), True), (("fit", b""), False)):
        needs.grow([kind], 2**30, 2**31)
        needs.note([kind] if enough else [], 2**31)
    sheet.take([found()])
    sheet.write()
    costs = written[0].costs
    assert costs[ProfileKey("load", b"code")].memory == 2**31
    assert costs[ProfileKey("load", b"code")].tasks == 2
    # Of what nothing was enough for it is known only that it needs more.
    assert costs[ProfileKey("fit", b"")].memory == 0
    assert costs[ProfileKey("fit", b"")].peak == 2**30 + 1
    assert recalled(written[0]).memory == {("load", b"code"): 2**31}


def test_what_ran_out_of_memory_is_written_though_nothing_else_is_new() -> None:
    written: list[Profile] = []
    now = [0.0]
    needs = MemoryNeeds()
    needs.allow(Allowance(3))
    sheet = CostSheet(written.append, 2, {}, lambda: now[0], needs)
    needs.grow([("fit", b"")], 2**30, 2**31)
    assert not sheet.is_due
    now[0] = WRITTEN_EVERY
    assert sheet.is_due
    sheet.write()
    assert written[-1].costs == {ProfileKey("fit", b""): TaskCosts(peak=2**30 + 1)}
    sheet.take([found()])
    sheet.write()  # before anybody else heard of that manifest
    needs.note([("fit", b"")], 2**31)
    sheet.write()
    assert written[-1].costs[ProfileKey("fit", b"")].memory == 2**31
    sheet.write()
    assert len(written) == 3


def test_what_is_noted_is_recalled_by_prefix_and_code() -> None:
    profile = Profile(
        {
            ProfileKey("f", b"old"): TaskCosts(tasks=2, seconds=4.0, squares=10.0),
            ProfileKey("f", b"new"): TaskCosts(
                tasks=1, seconds=5.0, squares=25.0, nbytes=50, values=2, peak=9
            ),
            ProfileKey("g", b""): TaskCosts(),
        }
    )
    found = recalled(profile)
    assert found.costs == {("f", b"old"): Cost(2.0, 1.0), ("f", b"new"): Cost(5.0)}
    assert found.nbytes == {("f", b"new"): 25.0}
    assert found.peaks == {("f", b"new"): 9}


def test_defaults_of_dask_are_read_as_dask_reads_them() -> None:
    path = "distributed.scheduler.default-task-durations"
    with dask.config.set({path: {"load": "2 minutes", "add": "1us", "sum": 3}}):
        assert assumed().assumed == {"load": 120.0, "add": 1e-6, "sum": 3.0}
    with dask.config.set({path: None}):
        assert assumed().assumed == {}
    with (
        dask.config.set({path: {"load": "soon"}}),
        pytest.raises(ConfigurationError, match=r"default-task-durations\.load='soon'"),
    ):
        assumed()
