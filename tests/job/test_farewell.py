"""SIGTERM commits at once what is done, and ends the process as if nobody had handled it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dask_knot.run.names import ShardId
from dask_knot.run.store import Store
from dask_knot.run.work import Options
from tests.local.desk import wait_until

from .runs import FIRST, Rehearsal, ref, shard, task
from .signalled import (
    asks_for_more,
    chains,
    forks,
    handles,
    ignores,
    loops,
    makes_async,
    multiplies,
    runs_a_program,
    sleeps,
    takes_long_to_pickle,
)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no job runs on Windows")

ID = ShardId(FIRST, 0)
LATE = Options(part_seconds=1000)
QUICK = task("quick", int, 7)


class Job:
    """A shard that runs in a process of its own."""

    def __init__(self, folder: Path, *tasks: Any, options: Options = LATE) -> None:
        self.run = Rehearsal(Store(folder / "store"))
        self.run.write(shard(tasks, options=options))
        url = f"{(folder / 'store').as_uri()}/{self.run.names.pack(FIRST)}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dask_knot.job", url],
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )

    def terminate(self, begun: Path, seconds: float = 20) -> int:
        """Send SIGTERM once a task has begun; give the exit code."""
        wait_until(begun.exists)
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def parts(self) -> list[list[int]]:
        """Give the outputs that each part has."""
        found = sorted(file.name for file in self.run.files(f"manifests/{FIRST.stored}"))
        assert found == [f"00000.p{number:03}" for number in range(len(found))]
        return [
            [output.ordinal for output in self.run.manifest(ID, number).outputs]
            for number in range(len(found))
        ]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Job]]:
    """Start jobs, which end with the test."""
    jobs: list[Job] = []
    (tmp_path / "store").mkdir()

    def start(*tasks: Any, options: Options = LATE) -> Job:
        jobs.append(Job(tmp_path, *tasks, options=options))
        return jobs[-1]

    yield start
    for job in jobs:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(job.process.pid, signal.SIGKILL)  # as the end of a container does
        job.process.wait()


THREADS = replace(LATE, cores=2)
PROCESSES = replace(THREADS, processes=True)


@pytest.mark.parametrize(
    ("busy", "options"),
    [
        *((one, LATE) for one in (loops, sleeps, multiplies, makes_async, runs_a_program, forks)),
        *((one, THREADS) for one in (multiplies, makes_async)),
        (sleeps, PROCESSES),
    ],
)
def test_what_is_done_is_committed_at_once(
    begin: Callable[..., Job], tmp_path: Path, busy: Callable[..., Any], options: Options
) -> None:
    begun = tmp_path / "begun"
    job = begin(QUICK, task("long", busy, begun, ref("quick")), options=options)
    assert job.terminate(begun) == 143
    assert job.parts() == [[0]]


@pytest.mark.parametrize(
    ("busy", "options"), [(runs_a_program, LATE), (runs_a_program, THREADS), (sleeps, PROCESSES)]
)
def test_a_signal_that_ends_what_a_task_waits_for_fails_no_task(
    begin: Callable[..., Job], tmp_path: Path, busy: Callable[..., Any], options: Options
) -> None:
    begun = tmp_path / "begun"
    job = begin(QUICK, task("long", busy, begun, ref("quick")), options=options)
    wait_until(begun.exists)
    os.killpg(job.process.pid, signal.SIGTERM)
    assert job.process.wait(20) == 143
    assert job.parts() == [[0]]


def test_without_anything_new_there_is_no_part(begin: Callable[..., Job], tmp_path: Path) -> None:
    job = begin(task("long", sleeps, tmp_path / "begun"))
    assert job.terminate(tmp_path / "begun") == 143
    assert job.parts() == []


def test_another_attempt_goes_on_from_there(begin: Callable[..., Job], tmp_path: Path) -> None:
    job = begin(QUICK, task("long", sleeps, tmp_path / "begun", ref("quick")))
    job.terminate(tmp_path / "begun")
    job.run.manifest(ID, 0)
    (tmp_path / "over").touch()
    job.run.start(ID, attempt=2)
    assert [output.ordinal for output in job.run.manifest(ID).outputs] == [0, 1]


def test_a_value_that_is_being_pickled_is_waited_for(
    begin: Callable[..., Job], tmp_path: Path
) -> None:
    job = begin(task("value", takes_long_to_pickle, tmp_path / "begun"), task("after", sleeps))
    assert job.terminate(tmp_path / "begun") == 143
    assert job.parts() == [[0]]


def test_an_own_handler_decides_about_the_process(
    begin: Callable[..., Job], tmp_path: Path
) -> None:
    job = begin(QUICK, task("long", handles, tmp_path / "begun", ref("quick")))
    assert job.terminate(tmp_path / "begun") == 0
    assert [output.ordinal for output in job.run.manifest(ID, 0).outputs] == [0]
    assert [output.ordinal for output in job.run.manifest(ID).outputs] == [0, 1]


def test_an_own_handler_may_call_the_one_before_it(
    begin: Callable[..., Job], tmp_path: Path
) -> None:
    job = begin(QUICK, task("long", chains, tmp_path / "begun", ref("quick")))
    assert job.terminate(tmp_path / "begun") == 143
    assert job.parts() == [[0]]


def test_who_ignores_the_signal_is_not_ended(begin: Callable[..., Job], tmp_path: Path) -> None:
    job = begin(QUICK, task("long", ignores, tmp_path / "begun", ref("quick")))
    wait_until((tmp_path / "begun").exists)
    job.process.send_signal(signal.SIGTERM)
    (tmp_path / "over").touch()
    assert job.process.wait(20) == 0
    assert [output.ordinal for output in job.run.manifest(ID).outputs] == [0, 1]


def test_the_end_of_a_fork_is_not_that_of_the_job(
    begin: Callable[..., Job], tmp_path: Path
) -> None:
    job = begin(QUICK, task("long", asks_for_more, tmp_path / "begun", ref("quick")))
    assert job.process.wait(30) == 0
    assert (tmp_path / "begun").read_text() == "-15"


def test_this_process_is_afterwards_as_it_was(run: Rehearsal) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert run.outcomes(shard([QUICK])) == {"quick": 7}
    assert signal.getsignal(signal.SIGTERM) == before
    assert signal.set_wakeup_fd(-1) == -1
