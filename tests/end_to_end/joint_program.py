"""One of two programs that hold one run at the same time: each task notes that it ran.

    python joint_program.py STORE NOTES WHAT [JOBS]

`WHAT` says what becomes of the last task (it ``returns``, ``raises``, ``dies`` or ``stays``), or
what the client does once its first step is there (it ``cancels``, ``leaves``, is ``killed``, or
``ends`` the run of tasks that stay); one that ``reads`` asks for the last key only. It prints what
it gets.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import dask
from dask._task_spec import Task, TaskRef
from distributed import Client, as_completed

from dask_knot import KnotCluster
from tests.end_to_end.killed_program import WIDE, note

NAME = "joint"
STEPS, SECONDS = 6, 0.15
#: So many programs are waited for by the last task, at most for so many seconds.
PROGRAMS, LONGEST = 2, 30
LAST = "last-0"
ENDS = ("returns", "raises", "dies", "stays")


def step(backwards: str, key: str, *before: int) -> int:
    """Take a while."""
    note(backwards, key)
    time.sleep(SECONDS)
    return 1 + sum(before)


def last(backwards: str, end: str, *before: int) -> int:
    """Wait until all programs are here, and end as is wished."""
    note(backwards, "last")
    wait_for_all(backwards, PROGRAMS + (end == "stays"))
    if end == "raises":
        raise ValueError("as it should")
    if end == "dies":
        # What has died before the other session looked at its job for the first time counts there
        # as an earlier session's attempt, and is tried once more.
        time.sleep(1)
        os._exit(3)
    return sum(before)


def wait_for_all(backwards: str, programs: int) -> None:
    """Wait until so many programs are here."""
    here = Path(backwards[::-1]) / "here"
    for _ in range(int(LONGEST / SECONDS)):
        time.sleep(SECONDS)
        if here.exists() and len(here.read_text().split()) >= programs:
            break


def graph(backwards: str, end: str) -> dict[str, Any]:
    """Write down pairs of steps, one behind the other, and what reads all of them."""
    tasks: dict[str, Any] = {}
    for n in range(STEPS):
        tasks[f"first-{n}"] = Task(f"first-{n}", step, backwards, f"first-{n}")
        behind = TaskRef(f"first-{n}")
        tasks[f"second-{n}"] = Task(f"second-{n}", step, backwards, f"second-{n}", behind)
    reads = [TaskRef(f"second-{n}") for n in range(STEPS)]
    tasks[LAST] = Task(LAST, last, backwards, end, *reads)
    return tasks


def main(store: str, folder: str, what: str, jobs: int) -> None:
    """Take part."""
    wide = {f"knot.local.{name}": value for name, value in WIDE.items()}
    with dask.config.set(wide):
        cluster = KnotCluster(
            "local", name=NAME, store=store, jobs=jobs, memory="400 MiB", dashboard_address=None
        )
    with cluster, Client(cluster) as client:
        print(take_part(cluster, client, folder[::-1], what), flush=True)


def take_part(cluster: KnotCluster, client: Client, backwards: str, what: str) -> object:
    """Ask for all, and get it or go away before; or ask for what another one computes."""
    if what == "reads":
        while not len(cluster.results(LAST)):  # another one asks for it
            time.sleep(0.05)
        say_here(backwards)
        return outcome(cluster.future(LAST, client))
    keys = [*(f"second-{n}" for n in range(STEPS)), LAST]
    end = "stays" if what == "ends" else what if what in ENDS else "returns"
    held = client.get(graph(backwards, end), keys, sync=False)
    next(iter(as_completed(held)))
    say_here(backwards)
    if what in ENDS:
        return outcome(held[-1])
    if what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "cancels":
        client.cancel(held)
    if what == "ends":
        wait_for_all(backwards, PROGRAMS)
        cluster.end()
    return what


def say_here(backwards: str) -> None:
    """Let the last task know that this program waits for it."""
    with (Path(backwards[::-1]) / "here").open("a") as file:
        file.write("here\n")


def outcome(future: Any) -> str:
    """Say what a future has."""
    try:
        return str(future.result())
    except Exception as error:
        return type(error).__name__


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]) if len(sys.argv) > 4 else 2)
