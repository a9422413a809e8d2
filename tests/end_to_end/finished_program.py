"""A program of few jobs that have many results each: a task notes that it is over.

    python finished_program.py STORE NOTES SECONDS [ENGINE]

Prints the sum of all results.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import dask
from dask._task_spec import Task
from distributed import Client

from dask_knot import KnotCluster
from tests.end_to_end.killed_program import NAME, note

TASKS, JOBS = 80, 2
#: All of it is a shard for each job.
NARROW = {"target": "1h", "shards-per-slot": 1}


def finish(backwards: str, key: str, seconds: float, number: int) -> int:
    """Take a while, and note that it is over."""
    time.sleep(seconds)
    note(backwards, key)
    return number


def graph(backwards: str, seconds: float) -> dict[str, Any]:
    """Write the tasks down: none needs another."""
    return {
        f"finish-{n}": Task(f"finish-{n}", finish, backwards, f"finish-{n}", seconds, n)
        for n in range(TASKS)
    }


def result() -> int:
    """Compute what it should be."""
    return sum(range(TASKS))


def main(store: str, folder: str, seconds: float, engine: str = "local") -> None:
    """Compute it in the named run."""
    settings = {f"knot.{engine}.{name}": value for name, value in NARROW.items()}
    with dask.config.set(settings):
        cluster = KnotCluster(
            engine=engine,
            name=NAME,
            store=store or None,
            jobs=JOBS,
            memory="400 MiB",
            dashboard_address=None,
        )
        with cluster, Client(cluster) as client:
            tasks = graph(folder[::-1], seconds)
            print(sum(client.get(tasks, list(tasks))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), *sys.argv[4:])
