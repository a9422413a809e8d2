"""A program whose client is killed: three stages; each task notes that it ran, then takes a while.

    python killed_program.py STORE NOTES SECONDS [ENGINE]

Prints the result. `work`, the graph of it, and its result are imported by tests as well.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import dask
from dask._task_spec import Task, TaskRef
from distributed import Client

from dask_knot import KnotCluster

NAME = "killed"
LOADS, MIXES = 16, 8
#: Each task is a shard of its own, so that there are three stages.
WIDE = {"target": "1s", "shards-per-slot": 8}


def note(backwards: str, key: str) -> None:
    """Note that a task ran: one write to the end of a file, which no other can come between.

    The folder is written backwards: as an argument it would be an input, which these notes change.
    """
    file = os.open(Path(backwards[::-1]) / "ran", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{key}\n".encode())
    os.close(file)


def load(backwards: str, key: str, seconds: float, number: int) -> int:
    """Take a while."""
    note(backwards, key)
    time.sleep(seconds)
    return number


def mix(backwards: str, key: str, seconds: float, *numbers: int) -> int:
    """Take a while, with what others have made."""
    note(backwards, key)
    time.sleep(seconds)
    return sum(numbers)


def graph(backwards: str, seconds: float) -> dict[str, Any]:
    """Write the tasks down: each mix needs loads of all kinds, and the total all mixes."""
    tasks: dict[str, Any] = {}
    for n in range(LOADS):
        tasks[f"load-{n}"] = Task(f"load-{n}", load, backwards, f"load-{n}", seconds, n)
    for n in range(MIXES):
        reads = [TaskRef(f"load-{(n + k * 5) % LOADS}") for k in range(3)]
        tasks[f"mix-{n}"] = Task(f"mix-{n}", mix, backwards, f"mix-{n}", seconds, *reads)
    reads = [TaskRef(f"mix-{n}") for n in range(MIXES)]
    tasks["total-0"] = Task("total-0", mix, backwards, "total-0", seconds, *reads)
    return tasks


def result() -> int:
    """Compute what it should be."""
    return sum((n + k * 5) % LOADS for n in range(MIXES) for k in range(3))


def main(store: str, folder: str, seconds: float, engine: str = "local") -> None:
    """Compute it in the named run."""
    settings = {f"knot.{engine}.{name}": value for name, value in WIDE.items()}
    with dask.config.set({**settings, "knot.build": {"packages": [], "network": "host"}}):
        cluster = KnotCluster(
            engine=engine,
            name=NAME,
            store=store or None,
            jobs=2,
            memory="400 MiB",
            dashboard_address=None,
        )
        with cluster, Client(cluster) as client:
            print(client.get(graph(folder[::-1], seconds), "total-0"), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), *sys.argv[4:])
