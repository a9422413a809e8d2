"""Plans that were made on wrong numbers are mended while they run, with real processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import dask
import pytest
from dask._task_spec import Task, TaskRef
from distributed import Client

from dask_knot import KnotCluster
from dask_knot.batch.rules import JobStatus
from tests.end_to_end import mending_program
from tests.end_to_end.conftest import until
from tests.end_to_end.killed_program import mix, note

pytestmark = pytest.mark.timeout(120)

Open = Callable[..., KnotCluster]


def ran(folder: Path) -> Counter[str]:
    """Count how often each task has run."""
    return Counter((folder / "ran").read_text().split())


def decisions(cluster: KnotCluster) -> str:
    """Give the words of all decisions."""
    return "\n".join(one.text for one in cluster.decisions)


@pytest.fixture(autouse=True)
def _wrong_numbers() -> Iterator[None]:
    """Have wrong numbers for what is known of tasks."""
    with dask.config.set(mending_program.WRONG):
        yield


def test_what_a_shard_has_not_begun_goes_to_idle_slots(open_cluster: Open, tmp_path: Path) -> None:
    cluster = open_cluster(**mending_program.SETTINGS)
    tasks = mending_program.graph(str(tmp_path))
    with Client(cluster) as client:
        assert client.get(tasks, list(tasks)) == list(range(mending_program.TASKS))
    assert "has handed over" in decisions(cluster)
    assert ran(tmp_path) == dict.fromkeys(tasks, 1)


class MendingProgram:
    """Runs the program, with its client killed at some moment or not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "store").mkdir()

    def run(self, *moment: str) -> subprocess.CompletedProcess[str]:
        """Let it run to its end, be that its own or not."""
        words = ["-m", mending_program.__name__, (self.folder / "store").as_uri(), str(self.folder)]
        return subprocess.run(
            [sys.executable, *words, *moment],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=Path(__file__).parents[2],
            check=False,
        )


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_client_that_is_killed_as_a_shard_hands_over_loses_nothing(
    moment: str, tmp_path: Path
) -> None:
    program = MendingProgram(tmp_path)
    killed = program.run(moment)
    assert killed.returncode == -signal.SIGKILL
    assert killed.stdout == ""
    later = program.run()
    assert later.stderr == ""
    assert later.stdout.strip() == str(sum(range(mending_program.TASKS)))
    counted = ran(tmp_path)
    assert set(counted) == set(mending_program.graph(""))
    again = [key for key, times in counted.items() if times > 1]
    assert len(again) <= mending_program.JOBS  # what was running
    assert max(counted.values()) <= 2


def test_a_stage_that_was_cut_on_wrong_numbers_is_planned_anew(
    open_cluster: Open, tmp_path: Path
) -> None:
    with dask.config.set({"knot.local.shards-per-slot": 8}):  # 32 jobs, where a few would do
        cluster = open_cluster(**mending_program.SETTINGS)
    backwards = str(tmp_path)[::-1]
    firsts = {f"first-{n}": Task(f"first-{n}", mix, backwards, f"first-{n}", 2.0) for n in range(2)}
    reads = [TaskRef(key) for key in firsts]
    seconds = {
        f"mix-{n}": Task(f"mix-{n}", mix, backwards, f"mix-{n}", 0.0, n, *reads) for n in range(40)
    }
    with Client(cluster) as client:
        wanted = client.get({**firsts, **seconds}, list(seconds), sync=False)
        until(lambda: len(cluster.jobs) == 2)
        slow = {"mix-99": Task("mix-99", mix, backwards, "mix-99", 0.0)}
        client.get(slow, "mix-99")
        assert client.gather(wanted) == list(range(40))
    counted = ran(tmp_path)
    assert {key: counted[key] for key in (*firsts, *seconds)} == dict.fromkeys(
        (*firsts, *seconds), 1
    )
    assert "planned again" in decisions(cluster)
    assert "failed" not in repr(cluster.jobs)  # what was withdrawn was meant to end


def hang_once(backwards: str, number: int) -> int:
    """Hang for good where the first of its kind is run for the first time."""
    note(backwards, f"hang-{number}")
    print("hang", flush=True)
    if number == 0:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(Path(backwards[::-1]) / "hung", os.O_CREAT | os.O_EXCL))
            time.sleep(1000)
    return number


def test_a_shard_that_hangs_is_overtaken_by_its_twin(open_cluster: Open, tmp_path: Path) -> None:
    cluster = open_cluster(**mending_program.SETTINGS, speculate=3)
    backwards, keys = str(tmp_path)[::-1], [f"hang-{n}" for n in range(4)]
    tasks = {key: Task(key, hang_once, backwards, n) for n, key in enumerate(keys)}
    with Client(cluster) as client:
        futures = client.get(tasks, keys, sync=False)
        assert client.gather(futures) == list(range(4))
        assert "is started a second time" in decisions(cluster)
        assert ran(tmp_path) == {key: 2 if key == keys[0] else 1 for key in keys}
        service = cluster._lifetime.opened._service
        (twin,) = service.twins.jobs.values()
        assert twin.id in cluster.logs(keys[0])
        # What hangs is told that nobody needs it any more, and its array has not failed.
        (stage,) = service.jobs
        until(lambda: service.refresh([stage]) and service.jobs[stage].is_over, 45)
        assert service.jobs[stage].counts == {JobStatus.SUCCEEDED: 4}
