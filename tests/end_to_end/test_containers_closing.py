"""However a program ends while its jobs run in containers: none is left, and no object."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dask_knot import KnotCluster
from dask_knot.aws.session import AwsSession
from tests.end_to_end.containers import account, machine, settings
from tests.rig.machine import Rig

__all__ = ["account", "machine", "settings"]

pytestmark = pytest.mark.timeout(600)

#: Three stages of two children and one; those of one stage take their time, and write then.
PROGRAM = """
import os, signal, sys, time
from threading import Timer

# What was started behind a shell's `&`, or by nohup, ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)

import dask
from dask import delayed
from distributed import Client, wait

from dask_knot import KnotCluster


def work(stage, *inputs):
    time.sleep(45 * (stage == SLOW))
    return os.urandom(2**20)


if __name__ == "__main__":
    SLOW, engine, store = int(sys.argv[1]), sys.argv[2], sys.argv[3] or None
    settings = {"jobs": 2, "memory": "400 MiB", "dashboard_address": None, "store": store}
    task = delayed(work, pure=False)
    # Said, as a first stage that took no time would have the second planned anew, in one job.
    two = {"CPU": 1, "MEMORY": 300 * 2**20}
    said = {"seconds": 45}
    build = {"packages": ["numpy"], "network": "host"}
    with dask.config.set({"knot.build": build}):
        cluster = KnotCluster(engine=engine, **settings)
    with cluster, Client(cluster) as client:
        with dask.annotate(resources={"CPU": 1}, knot=said):
            first = [task(1) for _ in range(2)]
        with dask.annotate(resources=two, knot=said):
            second = [task(2, value) for value in first]
        with dask.annotate(resources={"CPU": 1}, knot=said):
            last = task(3, *second)
        future = client.compute(last, optimize_graph=False)
        while not any(
            row.counts.get("RUNNING") == min(2, 4 - SLOW) for row in list(cluster.jobs)[SLOW - 1:]
        ):
            time.sleep(0.1)
        time.sleep(1)  # well inside of its tasks
        if sys.argv[4] == "close":
            print(cluster.name, flush=True)
            sys.exit()
        # Well inside of the waiting: `distributed.utils.sync` fails when it is interrupted while
        # it begins.
        Timer(1, print, [cluster.name], {"flush": True}).start()
        wait(future)
"""

WAYS: dict[str, tuple[int | None, int]] = {
    "close": (None, 0),
    "Ctrl-C": (signal.SIGINT, -signal.SIGINT),
    "SIGTERM": (signal.SIGTERM, -signal.SIGTERM),
}


class Run:
    """A program that runs three stages, until it is ended while one of them runs."""

    def __init__(self, folder: Path, stage: int, engine: str, store: str, way: str) -> None:
        self._number, self._code = WAYS[way]
        program = folder / f"program{stage}.py"
        program.write_text(PROGRAM)
        self._process = subprocess.Popen(
            [sys.executable, str(program), str(stage), engine, store, way],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )

    def end(self) -> str:
        """End it, and give the name of its cluster."""
        assert self._process.stdout is not None
        with self._process as process:
            try:
                name = self._process.stdout.readline().strip()
                if name and self._number is not None:
                    process.send_signal(self._number)
                _, said = process.communicate(timeout=200)
            finally:
                process.kill()
        assert name, said
        assert self._process.returncode == self._code, said
        assert "never retrieved" not in said
        assert said.count("Traceback") == (self._code == -signal.SIGINT), said
        return name


@pytest.fixture(scope="module")
def built(account: AwsSession, settings: dict[str, Any]) -> None:
    """Build the images once, and not in several programs at the same time."""
    for engine in ("aws", "docker"):
        KnotCluster(**{**settings, "engine": engine}).close()


def containers(machine: Rig) -> list[str]:
    with closing(machine.docker()) as docker:
        return [one.name for one in docker.containers.list(all=True)]


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("way", WAYS)
def test_in_each_of_three_stages_on_aws(
    way: str, account: AwsSession, machine: Rig, tmp_path: Path
) -> None:
    for stage in (1, 2, 3):  # one after the other, as two containers run at once
        name = Run(tmp_path, stage, "aws", "", way).end()
        assert not [one for one in containers(machine) if name in one]
        assert objects(account, name) == []


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(("way", "stage"), [("close", 2), ("Ctrl-C", 1), ("SIGTERM", 3)])
def test_in_a_stage_with_the_docker_engine(
    way: str, stage: int, machine: Rig, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    name = Run(tmp_path, stage, "docker", str(store), way).end()
    assert containers(machine) == []
    assert not (store / name).exists()


def objects(account: AwsSession, run: str) -> list[str]:
    """Name what is left of a run in any bucket."""
    s3 = account.client("s3")
    buckets = [one["Name"] for one in s3.list_buckets()["Buckets"]]
    listed = [s3.list_objects_v2(Bucket=bucket).get("Contents", []) for bucket in buckets]
    return [one["Key"] for some in listed for one in some if run in one["Key"]]
