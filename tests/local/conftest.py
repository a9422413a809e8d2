"""Fixtures: a LocalBatch with a fake launcher, and one with real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dask_knot.local.fork import ForkLauncher
from dask_knot.local.launcher import Exit
from tests.local.desk import CAPACITY, Desk
from tests.local.fakes import FakeLauncher

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@pytest.fixture
def launcher() -> FakeLauncher:
    """Give a launcher that succeeds at ``true``, fails at ``false``, and else waits."""
    return FakeLauncher(true=[Exit(0)], false=[Exit(1)])


@pytest.fixture
def desk(launcher: FakeLauncher, tmp_path: Path) -> Iterator[Desk]:
    """Give a LocalBatch without processes."""
    desk = Desk(launcher, tmp_path)
    desk.define()
    yield desk
    desk.batch.close()


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Give a LocalBatch with processes: its server takes a second to start, so tests share it."""
    folder = tmp_path_factory.mktemp("logs")
    server_log = folder / "server.log"
    desk = Desk(ForkLauncher(environment=THREADS, log_path=server_log), folder)
    desk.define()
    yield desk
    desk.batch.close()
    assert not server_log.exists() or server_log.read_text() == ""


@pytest.fixture
def real(processes: Desk) -> Iterator[Desk]:
    """Give a LocalBatch with processes, on which nothing runs."""
    yield processes
    processes.batch.resize(CAPACITY)
    for status in ("RUNNABLE", "RUNNING"):
        found = processes.call("list_jobs", jobQueue="queue", jobStatus=status)
        for job in found["jobSummaryList"]:
            processes.call("terminate_job", jobId=job["jobId"], reason="the test is over")
            processes.end(job["jobId"])
