"""What tasks have cost: taken from manifests, kept in the run, known to the next session."""

from __future__ import annotations

from array import array

import pytest

from dask_knot.run.manifest import Manifest, Work
from dask_knot.run.names import PLANS_PER_SESSION, Names, ShardId, StageId
from dask_knot.run.profile import Profile, ProfileKey, TaskCosts
from dask_knot.session.costs import WRITTEN_EVERY, CostSheet, costs_of, known_costs
from dask_knot.tracking.events import ChildFailed, Ending, ManifestFound


class Archive:
    """Keeps the profiles that are written."""

    def __init__(self) -> None:
        self.written: list[tuple[int, Profile]] = []

    def write_profile(self, session: int, profile: Profile) -> None:
        self.written.append((session, profile))


def manifest(peak: int = 100) -> Manifest:
    """Tell of two tasks of 1 and 3 s that load, and one of 2 s that fails."""
    times = array("d", [0.0, 1.0, 1.0, 4.0, 4.0, 6.0]).tobytes()
    work = {"load": Work(2, 4.0, 80, 2), "fit": Work(1, 2.0, 0, 0, 1)}
    kinds = array("I", [0, 0, 3]).tobytes()
    return Manifest(True, 1, (), work=work, times=times, kinds=kinds, peak=peak)


def found(session: int = 2, peak: int = 100) -> ManifestFound:
    """Find such a manifest of a session."""
    shard = ShardId(StageId(session * PLANS_PER_SESSION, 0), 0)
    return ManifestFound(shard, Names("run").manifest(shard), manifest(peak))


def test_costs_of_a_manifest_are_by_prefix() -> None:
    assert costs_of(manifest()) == {
        "load": TaskCosts(2, 4.0, 10.0, 3.0, 80, 2, 100, 1),
        "fit": TaskCosts(1, 2.0, 4.0, 2.0, 0, 0, 100, 1),
    }
    assert costs_of(Manifest(True, 1, ())) == {}


def test_a_session_counts_its_own_and_writes_the_sum_now_and_then() -> None:
    archive, now = Archive(), [0.0]
    costs = CostSheet(archive, 2, {"load": b"code"}, lambda: now[0])
    costs.write()
    assert archive.written == []
    lost = ChildFailed(ShardId(StageId(0, 0), 0), Ending.KILLED, OSError())
    costs.take([found(), found(peak=300), found(session=1), lost])
    assert not costs.is_due
    now[0] = WRITTEN_EVERY
    assert costs.is_due
    costs.write()
    assert not costs.is_due
    ((session, profile),) = archive.written
    assert session == 2
    assert profile.costs[ProfileKey("load", b"code")] == TaskCosts(
        4, 8.0, 20.0, 3.0, 160, 4, 300, 2
    )
    assert profile.costs[ProfileKey("fit", b"")].tasks == 2
    costs.write()
    assert len(archive.written) == 1


def test_what_is_known_is_the_mean_over_all_code() -> None:
    profile = Profile(
        {
            ProfileKey("f", b"old"): TaskCosts(tasks=3, seconds=3.0, nbytes=10, values=1),
            ProfileKey("f", b"new"): TaskCosts(tasks=1, seconds=5.0, nbytes=50, values=2),
            ProfileKey("g", b""): TaskCosts(tasks=2, seconds=1.0),
        }
    )
    seconds, nbytes = known_costs(profile)
    assert seconds == {"f": 2.0, "g": 0.5}
    assert nbytes == {"f": pytest.approx(20.0)}
