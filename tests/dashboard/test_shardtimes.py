"""When shards ran, as their manifests tell part by part."""

from __future__ import annotations

from array import array

from dask_knot.dashboard.shardtimes import REMEMBERED, ShardTime, ShardTimes
from dask_knot.run.manifest import Manifest, Work
from dask_knot.run.names import ShardId, StageId

STAGE = StageId(0, 1)


def told(final: bool, *times: float, erred: int = 0) -> Manifest:
    work = {"load": Work(len(times) // 2, 1.0, erred=erred)}
    return Manifest(final, 1, (), (), work, array("d", times).tobytes())


def test_parts_of_a_shard_are_one_bar() -> None:
    seen, shard = ShardTimes(), ShardId(STAGE, 3)
    seen.take(shard, told(False, 5.0, 7.0), 1)
    assert seen.shards == {shard: ShardTime(1, 5.0, 7.0, 1)}
    seen.take(shard, told(True, 4.0, 6.0, 8.0, 9.0, erred=1), 1)
    assert seen.shards == {shard: ShardTime(1, 4.0, 9.0, 3, 1, is_done=True)}
    assert seen.changes == 2


def test_a_manifest_without_tasks_draws_nothing() -> None:
    seen = ShardTimes()
    seen.take(ShardId(STAGE, 0), told(True), 0)
    assert (seen.shards, seen.changes) == ({}, 0)


def test_the_oldest_shards_are_forgotten() -> None:
    seen = ShardTimes()
    for index in range(REMEMBERED + 2):
        seen.take(ShardId(STAGE, index), told(True, 1.0, 2.0), 0)
    assert len(seen.shards) == REMEMBERED
    assert ShardId(STAGE, 1) not in seen.shards
