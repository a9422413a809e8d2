"""A script whose client goes away while its jobs run in containers.

    python left_program.py ENGINE STORE NAME [MOMENT [SECONDS]]

Its tasks are in the script itself, since there are no tests in the image of the jobs; copies of it
run in other folders, under other names. It prints the result, unless it goes away before: `MOMENT`
says when, and how. A task takes so many seconds.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import dask
from botocore.client import BaseClient
from dask._task_spec import Task, TaskRef
from distributed import Client

from dask_knot import KnotCluster

LOADS, MIXES = 4, 2
STAGES = 3
TASKS = LOADS + MIXES + 1
SECONDS = 1.0
#: The client is killed before or after it has submitted so many stages, or while one of them runs.
MOMENTS = ("before 1", "after 1", "after 3", "in 1", "in 2", "in 3")
#: It asks for the result and goes away at once; or it says so when jobs run, and is sent a signal.
LEAVES, SAYS_SO = "leaves", "says so"
#: It ends all jobs while some run.
ENDS, SHUTS_DOWN = "ends", "shuts down"
#: It publishes the future of the result, and is killed.
PUBLISHES = "publishes"


def load(seconds: float, number: int) -> int:
    """Take a while."""
    time.sleep(seconds)
    return number


def mix(seconds: float, *numbers: int) -> int:
    """Take a while, with what others have made."""
    time.sleep(seconds)
    return sum(numbers)


def graph(seconds: float) -> dict[str, Any]:
    """Write the tasks down: each mix needs all loads, and the total all mixes."""
    tasks: dict[str, Any] = {}
    for n in range(LOADS):
        tasks[f"load-{n}"] = Task(f"load-{n}", load, seconds, n)
    for n in range(MIXES):
        reads = [TaskRef(f"load-{k}") for k in range(LOADS)]
        tasks[f"mix-{n}"] = Task(f"mix-{n}", mix, seconds, n, *reads)
    reads = [TaskRef(f"mix-{n}") for n in range(MIXES)]
    tasks["total-0"] = Task("total-0", mix, seconds, *reads)
    return tasks


def result() -> int:
    """Compute what it should be."""
    return MIXES * sum(range(LOADS)) + sum(range(MIXES))


def die() -> None:
    """End as if the machine had lost its power."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_submission(when: str, number: int) -> None:
    """Be killed right before or after so many calls of ``submit_job``."""
    call: Callable[..., Any] = BaseClient._make_api_call
    made = 0

    def make_call(self: Any, operation: str, arguments: Any) -> Any:
        nonlocal made
        made += operation == "SubmitJob"
        is_it = operation == "SubmitJob" and made == number
        if is_it and when == "before":
            die()
        answer = call(self, operation, arguments)
        if is_it:
            die()
        return answer

    BaseClient._make_api_call = make_call


def die_in_stage(cluster: KnotCluster, number: int) -> None:
    """Be killed while a stage runs."""
    wait_for_stage(cluster, number)
    die()


def wait_for_stage(cluster: KnotCluster, number: int) -> None:
    """Wait until a stage runs, and is well inside of its tasks."""
    while not any(job.counts.get("RUNNING") for job in list(cluster.jobs)[number - 1 :]):
        time.sleep(0.05)
    time.sleep(SECONDS / 4)


def main(engine: str, store: str, name: str, moment: str = "", seconds: float = SECONDS) -> None:
    """Compute it in the named run."""
    when, _, number = moment.partition(" ")
    if when in ("before", "after"):
        die_at_submission(when, int(number))
    # Nothing is known of the tasks: each is a child of its own, so that there are three stages.
    with dask.config.set({"knot.build": {"packages": ["numpy"], "network": "host"}}):
        cluster = KnotCluster(
            engine=engine,
            name=name,
            store=store or None,
            jobs=2,
            memory="400 MiB",
            dashboard_address=None,
        )
    with cluster, Client(cluster) as client:
        if when == "in":
            watch = threading.Thread(target=die_in_stage, args=(cluster, int(number)), daemon=True)
            watch.start()
        future = client.get(graph(float(seconds)), "total-0", sync=False)
        if moment == LEAVES:
            return
        go_away(cluster, client, future, moment)
        print(future.result(), flush=True)


def go_away(cluster: KnotCluster, client: Client, future: Any, moment: str) -> None:
    """Go away, if this is the way and the moment."""
    if moment == PUBLISHES:
        client.publish_dataset(total=future)
        die()
    if moment == SAYS_SO:
        # Of what a shell has put into the background the system ignores it, and so would Python.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        wait_for_stage(cluster, 1)
        print("here", flush=True)
    while moment in (ENDS, SHUTS_DOWN) and not list(cluster.jobs):
        time.sleep(0.05)  # only the last stage is awaited here: it runs minutes later
    if moment == ENDS:
        cluster.end()
    if moment == SHUTS_DOWN:
        client.shutdown()
    if moment in (ENDS, SHUTS_DOWN):
        sys.exit()


if __name__ == "__main__":
    main(*sys.argv[1:])
