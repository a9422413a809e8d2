"""What ten thousand tasks cost in calls: counted by the emulated AWS itself."""

from __future__ import annotations

from collections.abc import Callable

import dask
import pytest
from distributed import Client

from dask_knot import KnotCluster
from tests.end_to_end.containers import account, machine, open_aws, settings
from tests.rig.machine import Rig

__all__ = ["account", "machine", "open_aws", "settings"]

pytestmark = pytest.mark.timeout(300)

TASKS = 10_000
#: Looking how jobs are: with time, not with tasks.
POLLING = ("client batch describejobs", "client batch listjobs", "client s3 list")


def test_ten_thousand_tasks(
    open_aws: Callable[..., KnotCluster], machine: Rig, record_property: Callable[..., None]
) -> None:
    durations = {"lambda": "100ms"}
    with dask.config.set({"distributed.scheduler.default-task-durations": durations}):
        cluster = open_aws()
    with Client(cluster) as client:
        before = machine.counts()
        futures = client.map(lambda x: x + 1, range(TASKS))
        assert sum(client.gather(futures)) == TASKS * (TASKS + 1) // 2
        made = machine.counts() - before
        shards = sum(sum(row.counts.values()) for row in cluster.jobs)
    print(f"\n{TASKS:,} tasks in {shards} shards, {len(cluster.jobs)} jobs: {dict(made)}")
    record_property("calls", dict(made))
    batch = {name: n for name, n in made.items() if " batch " in name and name not in POLLING}
    assert sum(batch.values()) <= 10, batch
    assert batch["client batch submitjob"] == len(cluster.jobs)
    # A shard: its piece of the pack and what it continues; its values and its manifest.
    reads = made["jobs s3 get"] + made["jobs s3 head"] + made["jobs s3 list"]
    assert shards <= reads <= 4 * shards
    assert shards <= made["jobs s3 put"] <= 2 * shards
    assert not made["jobs batch describejobs"]
    # The client: one pack for each stage, one manifest of each shard; modules once.
    assert made["client s3 put"] <= len(cluster.jobs) + 1
    costs = 4  # what other sessions have left of them
    assert made["client s3 get"] <= 2 * shards + costs
