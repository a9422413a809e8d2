"""A named run in containers outlives its clients: nothing is lost, and nothing is made twice."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dask_knot import KnotCluster
from dask_knot.aws.session import AwsSession
from dask_knot.batch.runjobs import RunJob, listed_jobs
from dask_knot.run.names import StageId
from dask_knot.run.record import PlanRecord
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from tests.end_to_end import left_program
from tests.end_to_end.conftest import until
from tests.end_to_end.containers import account, machine, settings
from tests.rig.machine import Rig

__all__ = ["account", "machine", "settings"]

pytestmark = pytest.mark.timeout(300)

#: At which moments clients are killed, and in which ways they leave and end: in all of them if an
#: environment variable is set.
ALL = "KNOT_MOMENTS" in os.environ
MOMENTS = left_program.MOMENTS if ALL else ("after 1", "in 2")
SIGNALS = (None, signal.SIGTERM, signal.SIGINT) if ALL else (None, signal.SIGINT)
WAYS = (left_program.ENDS, left_program.SHUTS_DOWN) if ALL else (left_program.ENDS,)
RESULT = f"{left_program.result()}\n"


class NamedRun:
    """A named run in the emulated AWS, as the account has it, and programs that hold it."""

    def __init__(self, account: AwsSession, cluster: KnotCluster, name: str, folder: Path) -> None:
        self._batch = account.client("batch")
        (self._queue,) = [
            one["jobQueueName"] for one in self._batch.describe_job_queues()["jobQueues"]
        ]
        assert cluster.settings.store is not None
        self.run = Run(Store(cluster.settings.store), name)
        self._folder = folder

    def start(self, *moment: str) -> subprocess.Popen[str]:
        """Start the program, and don't wait for it."""
        return started(self._folder, "aws", "", self.run.name, *moment)

    def jobs(self) -> list[RunJob]:
        """List the jobs that Batch knows."""
        return list(listed_jobs(self._batch, self._queue, self.run.name).values())

    def wait(self) -> None:
        """Wait until all jobs are over."""
        until(lambda: all(job.is_over for job in self.jobs()), 120, self.jobs)

    def tasks(self) -> int:
        """Count the tasks that ran, by what their jobs have committed."""
        return tasks(self.run, [job.stage for job in self.jobs()])


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the program: each time another copy of it, in a folder of its own."""
    own = Path(tempfile.mkdtemp(dir=folder))
    program = own / f"{own.name}.py"
    shutil.copy(left_program.__file__, program)
    return subprocess.Popen(
        [sys.executable, str(program), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=own,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )


def tasks(run: Run, stages: Sequence[StageId]) -> int:
    """Count the tasks that ran, by what was committed."""
    ids = run.list_manifests(stages)
    assert not [id for id in ids if id.is_lost]
    found = [run.read_manifest(id).manifest for id in ids]
    return sum(work.tasks for manifest in found for work in manifest.work.values())


def ended(program: subprocess.Popen[str]) -> tuple[int, str, str]:
    with program:
        try:
            printed, errors = program.communicate(timeout=200)
        finally:
            program.kill()
    return program.returncode, printed, errors


@pytest.fixture(scope="module")
def open_run(
    account: AwsSession, settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], NamedRun]:
    """Open runs; the image of their jobs is built once.

    Each has a name of its own: a second try of a test, in a run that is done, would see no job run.
    """
    numbers = count()
    with KnotCluster(**settings) as cluster:

        def open_one(name: str) -> NamedRun:
            copies = tmp_path_factory.mktemp("copies")
            return NamedRun(account, cluster, f"{name}-{next(numbers)}", copies)

    return open_one


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_client_costs_nothing(moment: str, open_run: Callable[[str], NamedRun]) -> None:
    run = open_run(f"killed-{moment.replace(' ', '-')}")
    code, printed, errors = ended(run.start(moment))
    assert (code, printed) == (-signal.SIGKILL, ""), errors
    run.wait()  # without anybody
    left = run.jobs()
    assert ended(run.start()) == (0, RESULT, "")
    jobs = run.jobs()
    assert [job.id for job in jobs[: len(left)]] == [job.id for job in left]
    check_all_ran_once(run)
    assert ended(run.start()) == (0, RESULT, "")
    assert run.jobs() == jobs


def test_two_clients_at_once(open_run: Callable[[str], NamedRun]) -> None:
    run = open_run("both")
    first, second = run.start(), run.start()
    assert ended(first) == ended(second) == (0, RESULT, "")
    check_all_ran_once(run)


def test_one_of_two_clients_is_killed(open_run: Callable[[str], NamedRun]) -> None:
    run = open_run("one-of-two")
    killed = run.start("in 2")
    until(run.jobs, 120, run.jobs)  # it is the one that plans: the moment is one of its own jobs
    other = run.start()
    try:
        assert ended(killed)[0] == -signal.SIGKILL
    finally:
        found = ended(other)
    assert found == (0, RESULT, "")
    check_all_ran_once(run)


#: Run where there is neither the script nor its tasks.
READER = """
import sys
import dask
from distributed import Client
from dask_knot import KnotCluster

with dask.config.set({"knot.build": {"packages": ["numpy"], "network": "host"}}):
    cluster = KnotCluster("aws", name=sys.argv[1], memory="400 MiB", dashboard_address=None)
with cluster, Client(cluster) as client:
    print(cluster.future("total-0").result(), client.get_dataset("total").result())
    print([(one.key, one.state) for one in cluster.results()])
"""


def test_results_are_there_without_a_new_job(
    open_run: Callable[[str], NamedRun], tmp_path: Path
) -> None:
    run = open_run("published")
    assert ended(run.start(left_program.PUBLISHES))[0] == -signal.SIGKILL
    run.wait()
    jobs = run.jobs()
    command = [sys.executable, "-c", READER, run.run.name]
    reader = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=tmp_path)
    result = left_program.result()
    assert reader.stdout.splitlines()[:1] == [f"{result} {result}"], reader.stderr
    assert ended(run.start()) == (0, RESULT, "")
    assert run.jobs() == jobs
    check_all_ran_once(run)


@pytest.mark.parametrize("number", SIGNALS)
def test_jobs_of_a_client_that_leaves_go_on(
    number: signal.Signals | None, open_run: Callable[[str], NamedRun]
) -> None:
    run = open_run("left" if number is None else f"left-{number.name}")
    program = run.start(left_program.LEAVES if number is None else left_program.SAYS_SO)
    if number is not None:
        assert program.stdout is not None
        assert program.stdout.readline() == "here\n"
        program.send_signal(number)
    code, printed, errors = ended(program)
    assert (code, printed) == (-(number or 0), ""), errors
    jobs = run.jobs()
    assert len(jobs) == left_program.STAGES
    assert not jobs[-1].is_over
    assert ended(run.start()) == (0, RESULT, "")
    check_all_ran_once(run)


@pytest.mark.parametrize("way", WAYS)
def test_jobs_of_a_run_that_is_ended_end(way: str, open_run: Callable[[str], NamedRun]) -> None:
    run = open_run(way.replace(" ", "-"))
    # Both must see a job run, which one of them has submitted.
    waiting = run.start(left_program.SAYS_SO, "60")
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "here\n"
    assert ended(run.start(way, "60")) == (0, "", "")
    assert all(job.is_over for job in run.jobs())
    code, printed, errors = ended(waiting)
    assert (code, printed) == (1, "")
    assert "JobTerminatedError" in errors
    assert ended(run.start()) == (0, RESULT, "")


def check_all_ran_once(run: NamedRun) -> None:
    assert len(run.jobs()) == left_program.STAGES
    assert run.tasks() == left_program.TASKS


def test_containers_end_with_a_client_that_is_killed(machine: Rig, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    arguments = "docker", (tmp_path / "store").as_uri(), "killed"
    assert ended(started(tmp_path, *arguments, "in 2"))[0] == -signal.SIGKILL
    with closing(machine.docker()) as docker:
        listed = {"all": True, "filters": {"label": "dask-knot"}, "ignore_removed": True}
        until(lambda: not docker.containers.list(**listed), 30)
    assert ended(started(tmp_path, *arguments)) == (0, RESULT, "")
    run = Run(Store(arguments[1]), "killed")
    plans = [entry for entry in run.record.read_entries(0) if isinstance(entry, PlanRecord)]
    stages = [StageId(plan.number, n) for plan in plans for n in range(len(plan.stages))]
    assert tasks(run, stages) == left_program.TASKS  # what was cut off has committed nothing
