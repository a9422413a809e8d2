"""One of several programs that ask one run for parts of one random graph, and do random things.

    python several_program.py STORE SEED NUMBER

It checks all that it gets, and prints ``right`` or ``left``, unless it is killed.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from concurrent.futures import CancelledError
from typing import Any

import dask
from dask._task_spec import Task, TaskRef
from distributed import Client, Future

from dask_knot import KnotCluster
from tests.end_to_end.killed_program import WIDE

NAME = "several"
#: A value, or what the task raises, or one before it.
Value = int | str


def work(number: int, seconds: float, is_bad: bool, size: int, *read: Any) -> tuple[int, bytes]:
    """Take a while; raise, or make a value of what others have made."""
    time.sleep(seconds)
    if is_bad:
        raise ValueError(f"task {number} is bad")
    return (number * 31 + sum(one[0] * 7 for one in read)) % 1_000_003, b"x" * size


def graph(seed: int) -> tuple[dict[str, Any], dict[str, Value]]:
    """Make a random graph, and what is to come out."""
    chance = random.Random(seed)
    tasks: dict[str, Any] = {}
    values: dict[str, Value] = {}
    for number in range(chance.randint(10, 40)):
        count = chance.choice([0, 1, 1, 2, 3]) if number > 3 else 0
        reads = [f"task-{n}" for n in chance.sample(range(number), min(count, number))]
        is_bad, size = chance.random() < 0.03, chance.choice([10, 10, 100_000])
        seconds = chance.choice([0.005, 0.02, 0.1])
        key = f"task-{number}"
        tasks[key] = Task(key, work, number, seconds, is_bad, size, *map(TaskRef, reads))
        bad = [one for read in reads if isinstance(one := values[read], str)]
        total = sum(one * 7 for read in reads if isinstance(one := values[read], int))
        own = f"task {number} is bad"
        values[key] = bad[0] if bad else own if is_bad else (number * 31 + total) % 1_000_003
    return tasks, values


def check(values: dict[str, Value], held: dict[str, Future], may_be_cancelled: bool) -> None:
    """Wait for all that is held; of several tasks that raise, any one may be told of."""
    every = set(values.values())
    for key, future in held.items():
        got: Value
        try:
            got = future.result()[0]
        except ValueError as error:
            got = str(error)
        except CancelledError:
            assert may_be_cancelled, key  # Dask cancels what reads a key that is cancelled
            continue
        is_told = isinstance(values[key], str) and isinstance(got, str) and got in every
        assert got == values[key] or is_told, (key, got, values[key])


def take_part(client: Client, seed: int, chance: random.Random) -> str:
    """Ask for keys, let go of some, cancel some, leave."""
    tasks, values = graph(seed)
    held: dict[str, Future] = {}
    has_cancelled = False
    for _ in range(chance.randint(1, 4)):
        keys = chance.sample(sorted(tasks), chance.randint(1, len(tasks)))
        held.update(zip(keys, client.get(tasks, keys, sync=False), strict=True))
        half = chance.sample(sorted(held), len(held) // 2)
        what = chance.choices(
            ["cancel", "release", "leave", "sleep", "check"], [0.2, 0.3, 0.1, 0.2, 0.2]
        )[0]
        if what == "cancel":
            client.cancel([held.pop(key) for key in half])
            has_cancelled = True
        elif what == "release":
            for key in half:
                del held[key]
        elif what == "leave":
            return "left"
        elif what == "sleep":
            time.sleep(chance.uniform(0, 1))
        else:
            check(values, held, has_cancelled)
    check(values, held, has_cancelled)
    return "right"


def main(store: str, seed: int, number: int) -> None:
    """Take part."""
    chance = random.Random(f"{seed}/{number}")
    wide = {f"knot.local.{name}": value for name, value in WIDE.items()}
    with dask.config.set(chance.choice([{}, wide])):
        cluster = KnotCluster(
            "local",
            name=NAME,
            store=store,
            jobs=chance.randint(1, 3),
            memory="400 MiB",
            dashboard_address=None,
        )
    with cluster, Client(cluster) as client:
        if chance.random() < 0.35:
            seconds = chance.uniform(0.05, 3)
            threading.Timer(seconds, os.kill, [os.getpid(), signal.SIGKILL]).start()
        print(take_part(client, seed, chance), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
