"""Jobs that are processes of this machine, looked into and entered from other processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client

from dask_knot import KnotCluster
from tests.end_to_end.conftest import SMALL, until
from tests.end_to_end.tasks import wait_for

pytestmark = pytest.mark.timeout(120)


def hold_the_lock(there: str) -> str:
    """Hold the interpreter's lock: nothing else runs in the process, until it is ended."""
    Path(there).touch()
    return str(re.match(r"(a+)+$", "a" * 40 + "b"))


def ask(*words: str) -> str:
    command = [sys.executable, "-m", "dask", "knot", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=-3)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def cluster() -> Iterator[KnotCluster]:
    with KnotCluster(**SMALL, environment={"MY_VAR": "yes"}) as cluster:
        yield cluster


def objects(cluster: KnotCluster) -> list[str]:
    store = Path(cluster._lifetime.opened.run.store_url.removeprefix("file://"))
    kinds = ("asks", "answers", "vitals", "orders")
    # What goes meanwhile, `walk` leaves out.
    found = [Path(folder, name) for folder, _, names in os.walk(store) for name in names]
    return [str(path) for path in found if {*path.parts} & {*kinds}]


def test_a_job_is_looked_into_and_entered(cluster: KnotCluster, tmp_path: Path) -> None:
    go, run = tmp_path / "go", ("--run", cluster.name)
    with Client(cluster) as client:
        future = client.submit(wait_for, str(go), key="wait-1")
        title, first, *_ = stacks = ask("stacks", "wait-1", *run).splitlines()
        (job,) = cluster.jobs
        assert title.startswith(f"job {job.job_id} (shard 0 of stage 0.0), process ")
        assert first.startswith("task wait-1 for ")
        assert any("in wait_for" in line for line in stacks)
        (heads, line) = ask("top", "--once", *run).splitlines()
        assert heads.split() == ["RUN", "JOB", "HOST", "CPU", "MEMORY", "FOR", "TASK"]
        assert re.search(rf"{cluster.name} +{job.job_id} .* MiB of 1.0 GiB .* wait-1$", line)
        code = "import os; print(os.getcwd(), *(os.environ[n] for n in ('MY_VAR', 'KNOT_JOB')))"
        told = ask("shell", "wait-1", *run, "--", sys.executable, "-c", code).split()
        assert told == [os.getcwd(), "yes", job.job_id]
        assert ask("shell", job.job_id, *run, "--", "sh", "-c", "echo $MY_VAR") == "yes\n"
        go.touch()
        assert future.result(timeout=30) is not None
    assert objects(cluster) == []


def test_a_task_that_holds_the_lock_is_found_all_the_same(
    cluster: KnotCluster, tmp_path: Path
) -> None:
    with Client(cluster) as client:
        future = client.submit(hold_the_lock, str(tmp_path / "0"), key="hold-1")
        wait_for(str(tmp_path / "0"))
        found = ask("stacks", "hold-1", "--run", cluster.name)
        assert "which doesn't answer" in found
        assert "in hold_the_lock" in found
        future.release()


def test_tasks_in_processes_are_found_even_if_they_hold_the_lock(
    tmp_path: Path,
) -> None:
    sized = {**SMALL, "jobs": 1, "cores": 2, "processes": True}
    with KnotCluster(**sized) as cluster, Client(cluster) as client:
        begun = [tmp_path / str(number) for number in range(4)]
        futures = client.map(hold_the_lock, [*map(str, begun)], key=[f"hold-{n}" for n in range(4)])
        until(lambda: sum(path.exists() for path in begun) == 2)
        found = ask("stacks", "hold-", "--run", cluster.name)
        for key in (f"hold-{path.name}" for path in begun if path.exists()):
            (part,) = re.findall(rf"task {key} for .*?(?=\ntask |\nthread |\Z)", found, re.DOTALL)
            assert "in process " in part
            assert "in hold_the_lock" in part
        client.cancel(futures)
