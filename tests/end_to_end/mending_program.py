"""A program whose client plans on a wrong number, and may be killed as a shard hands over.

    python mending_program.py STORE NOTES [before|after]

Its tasks are said to be quick and aren't, so that many are put into few shards. The client is
killed just `before` or `after` it claims what one of these hands over. Prints the result.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import dask
from dask._task_spec import Task
from distributed import Client

from dask_knot import KnotCluster
from dask_knot.run.manifest import Manifest
from dask_knot.run.names import ShardId
from dask_knot.session.claims import Claims
from tests.end_to_end.killed_program import load

NAME = "mended"
TASKS, SECONDS = 16, 0.25
JOBS = 4
#: What Dask's configuration says of tasks of some kinds, which is far from true.
WRONG = {"distributed.scheduler.default-task-durations": {"load": "1us", "mix": "1us"}}
#: Parts come often, so that wrong numbers are soon found to be that.
SETTINGS = {
    "engine": "local",
    "jobs": JOBS,
    "memory": "400 MiB",
    "dashboard_address": None,
    "part_interval": 0.05,
}


def graph(folder: str) -> dict[str, Any]:
    """Write the tasks down, each of which notes that it ran."""
    keys = {n: f"load-{n}" for n in range(TASKS)}
    return {key: Task(key, load, folder[::-1], key, SECONDS, n) for n, key in keys.items()}


def die(moment: str) -> None:
    """Have this process killed when a shard hands over."""
    settle = Claims.settle

    def settled(claims: Claims, shard: ShardId, manifest: Manifest) -> Manifest:
        if manifest.handed is not None:
            if moment == "after":
                settle(claims, shard, manifest)
            os.kill(os.getpid(), signal.SIGKILL)
        return settle(claims, shard, manifest)

    Claims.settle = settled  # type: ignore[method-assign]


def main(store: str, folder: str, moment: str = "") -> None:
    """Compute it in the named run."""
    if moment:
        die(moment)
    with (
        dask.config.set({"knot.local.preload": [], **WRONG}),
        KnotCluster(name=NAME, store=store, **SETTINGS) as cluster,
        Client(cluster) as client,
    ):
        tasks = graph(folder)
        print(sum(client.get(tasks, list(tasks))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
