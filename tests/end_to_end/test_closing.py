"""However, and at whatever moment a cluster ends: at once, in silence, and nothing is left."""

from __future__ import annotations

import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client, progress

from dask_knot import KnotCluster
from tests.end_to_end.conftest import SMALL, until
from tests.end_to_end.tasks import inc

pytestmark = pytest.mark.timeout(300)


def many(client: Client) -> object:
    return client.map(inc, range(1000), pure=False)


def stages(client: Client) -> object:
    first = client.map(inc, range(8), pure=False)
    second = client.submit(sum, first, pure=False)
    return first, second, client.submit(time.sleep, client.submit(inc, second, pure=False))


def scattered(client: Client) -> object:
    return [client.submit(sum, client.scatter([1, n])) for n in range(3)]


def gathered(client: Client) -> object:
    return client.gather(client.map(inc, range(50), pure=False))


WORK: list[Callable[[Client], object]] = [many, stages, scattered, gathered]


class Heard(logging.Handler):
    """Keeps what is written at the end of a cluster, by whomever."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(self.format(record))


@pytest.fixture
def heard() -> Iterator[list[str]]:
    handler = Heard()
    loggers = [logging.getLogger(name) for name in ("distributed", "asyncio", "dask_knot")]
    for logger in loggers:
        logger.addHandler(handler)
    yield handler.said
    for logger in loggers:
        logger.removeHandler(handler)


@pytest.mark.parametrize("seed", range(12))
def test_at_any_moment_it_is_quick_and_says_nothing(seed: int, heard: list[str]) -> None:
    chance = random.Random(seed)
    work, moment = chance.choice(WORK), chance.choice([0, 0.01, 0.1, 0.5]) * chance.random()
    cluster = KnotCluster(**SMALL)
    client = Client(cluster)

    def run() -> None:
        with suppress(BaseException):  # it loses its cluster
            kept.append(work(client))

    kept: list[object] = []
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    threading.Event().wait(moment)
    start = time.monotonic()
    if chance.random() < 0.5:
        client.close()
    cluster.close()
    assert time.monotonic() - start < 20
    assert heard == []
    thread.join(30)


def test_a_bar_that_just_ended_is_no_mistake(heard: list[str]) -> None:
    with KnotCluster(**SMALL) as cluster, Client(cluster) as client:
        bar = progress(client.map(inc, range(3)), notebook=False, interval="1s")
        assert bar is None  # it is shown, and over
    assert heard == []


#: Two stages, the second of which takes its time and writes then, in a cluster that ends somehow.
PROGRAM = """
import asyncio, signal, sys, time

# What was started behind a shell's `&`, or by nohup, ignores them.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

import dask
from distributed import Client, wait
from dask_knot import KnotCluster


def slow(x):
    open(sys.argv[2] + "/running", "w").close()
    time.sleep(20)
    return bytes(2**20)


def is_running():
    import os
    return os.path.exists(sys.argv[2] + "/running")


SETTINGS = {"jobs": 2, "memory": "1 GiB", "dashboard_address": None, "store": sys.argv[2]}


def tell():
    print("running", flush=True)


def compute(future):
    dask.compute(*[dask.delayed(slow)(future) for _ in range(3)])


def work(client):
    future = client.submit(slow, client.submit(sum, [1, 2]), pure=False)
    while not is_running():
        time.sleep(0.05)
    return future


async def in_a_loop(closes):
    cluster = await KnotCluster(asynchronous=True, **SETTINGS)
    client = await Client(cluster, asynchronous=True)
    future = client.submit(slow, 1, pure=False)
    while not is_running():
        await asyncio.sleep(0.05)
    tell()
    if closes:
        async with cluster, client:
            await future
    # Nobody closes it.


def main(how):
    if how in ("async", "forgotten loop"):
        asyncio.run(in_a_loop(how == "async"))
        return
    cluster = KnotCluster(**SETTINGS)
    client = Client(cluster)
    if how == "two clusters":
        other = KnotCluster(**SETTINGS)
    future = work(client)
    if how in ("forgotten", "shutdown"):
        tell()
        return client.shutdown() if how == "shutdown" else None
    # Not at once: Dask's `sync` can't be interrupted in its first moment.
    cluster.loop.add_callback(cluster.loop.call_later, 0.3, tell)
    with cluster, client:
        {"gather": client.gather, "compute": compute}.get(how, wait)(future)


if __name__ == "__main__":
    main(sys.argv[1])
"""

ENDS: list[tuple[str, int | None]] = [
    ("with", signal.SIGINT),
    ("gather", signal.SIGINT),
    ("compute", signal.SIGINT),
    ("with", signal.SIGTERM),
    ("with", signal.SIGHUP),
    ("two clusters", signal.SIGTERM),
    ("async", signal.SIGINT),
    ("async", signal.SIGTERM),
    ("forgotten", None),
    ("forgotten loop", None),
    ("shutdown", None),
]


@pytest.mark.parametrize(("how", "number"), ENDS)
def test_a_program_leaves_no_process_and_no_object(
    how: str, number: int | None, tmp_path: Path
) -> None:
    program, store = tmp_path / "program.py", tmp_path / "store"
    program.write_text(PROGRAM)
    store.mkdir()
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": os.getcwd()}
    with subprocess.Popen(
        [sys.executable, program.name, how, str(store)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "running\n"
            below = psutil.Process(process.pid).children(recursive=True)
            if number is not None:
                process.send_signal(number)
            _, said = process.communicate(timeout=90)
        finally:
            process.kill()
    assert process.returncode == (0 if number is None else -number), said
    if how != "forgotten loop":  # Dask itself has something to say of tasks that are cancelled
        assert ("Traceback" in said) == (number == signal.SIGINT), said
        assert not [word for word in (" - ERROR - ", " - CRITICAL - ") if word in said], said
    assert "never retrieved" not in said
    # What its tasks have cost is for later ones.
    assert {path.name for path in store.iterdir()} - {"_costs"} == {"running"}
    until(lambda: not any(map(is_alive, below)), 5)


def is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
