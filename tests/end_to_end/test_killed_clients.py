"""A client of a named run is killed, at any moment: the same program goes on from there."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from types import ModuleType

import psutil
import pytest

from dask_knot.run.manifest import Kind
from dask_knot.run.names import StageId
from dask_knot.run.record import PlanRecord
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from tests.end_to_end import finished_program, killed_program
from tests.end_to_end.conftest import until

pytestmark = pytest.mark.timeout(300)

#: So many random moments; more of them by an environment variable.
MOMENTS = int(os.environ.get("KNOT_MOMENTS", "4"))
#: Names the processes of a program.
MARK = "KNOT_TEST_MARK"
#: What a task takes, and what all of it takes with two jobs, about, in seconds.
TASK, WHOLE = 0.05, 2.5


class Program:
    """Starts the program, kills it, and tells what of its work was committed."""

    def __init__(
        self, folder: Path, engine: str = "local", module: ModuleType = killed_program
    ) -> None:
        self.store = (folder / "store").as_uri()
        self.notes = folder
        self.engine = engine
        self.module = module.__name__
        self.mark = uuid.uuid4().hex
        (folder / "store").mkdir()

    def start(self) -> subprocess.Popen[str]:
        """Start it with a mark, so that all of its processes are known."""
        command = [sys.executable, "-m", self.module, self.store, str(self.notes)]
        return subprocess.Popen(
            [*command, str(TASK), self.engine],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, MARK: self.mark},
            cwd=Path(__file__).parents[2],
        )

    def run(self) -> str:
        """Let it run to its end, and give what it prints."""
        printed, errors = self.start().communicate(timeout=120)
        assert errors == ""
        return printed.strip()

    def kill_after(self, seconds: float) -> None:
        """Start it, kill it after a while, and wait for the end of all that it has started."""
        process = self.start()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        self.end(process, signal.SIGKILL)

    def end(self, process: subprocess.Popen[str], number: int) -> None:
        """Send a signal to a client, and wait for the end of all that it has started."""
        process.send_signal(number)
        process.communicate(timeout=60)
        deadline = time.monotonic() + 10
        while processes_of(self.mark):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def ran(self) -> Counter[str]:
        """Count how often each task has run, and begin to count anew."""
        notes = self.notes / "ran"
        if not notes.exists():
            return Counter()
        found = Counter(notes.read_text().split())
        notes.unlink()
        return found

    def noted(self) -> set[str]:
        """Name the tasks that have been noted so far."""
        notes = self.notes / "ran"
        return set(notes.read_text().split()) if notes.exists() else set()

    def committed(self) -> set[str]:
        """Name the tasks whose values are in manifests."""
        run = Run(Store(self.store), killed_program.NAME)
        found: set[str] = set()
        for entry in run.record.read_entries(0):
            assert isinstance(entry, PlanRecord)
            start = 0
            for number, stage in enumerate(entry.stages):
                for index, outputs in enumerate(stage.outputs):
                    keys = entry.keys[start : start + outputs]
                    start += outputs
                    for id in run.list_manifests([StageId(entry.number, number)]):
                        if id.shard.index == index and not id.is_lost:
                            values = run.read_manifest(id).manifest.outputs
                            found |= {keys[v.ordinal] for v in values if v.kind is Kind.FINISHED}
        return found


def processes_of(mark: str) -> list[psutil.Process]:
    """List the processes that have a mark in their environment, or in that of their parents."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def missing(committed: Collection[str]) -> set[str]:
    """Name the tasks that have to run if the values of some are there."""
    tasks = killed_program.graph("", 0)
    needed: set[str] = set()
    stack = ["total-0"]
    while stack:
        key = stack.pop()
        if key not in committed and key not in needed:
            needed.add(key)
            stack += tasks[key].dependencies
    return needed


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_what_was_committed_is_not_run_again(moment: int, tmp_path: Path) -> None:
    program = Program(tmp_path)
    random_moment = random.Random(moment).uniform(0.3, 1.0 + WHOLE)
    program.kill_after(random_moment)
    program.ran()
    left = missing(program.committed())
    assert program.run() == str(killed_program.result())
    assert program.ran() == Counter(left)
    assert program.run() == str(killed_program.result())
    assert program.ran() == Counter()


def test_killed_again_and_again_it_comes_to_its_end(tmp_path: Path) -> None:
    program = Program(tmp_path)
    for _ in range(6):
        program.kill_after(1.2)
    assert program.run() == str(killed_program.result())
    assert max(program.ran().values()) <= 7


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_what_had_finished_in_jobs_that_went_on_is_not_run_again(
    number: int, tmp_path: Path
) -> None:
    program = Program(tmp_path, module=finished_program)
    process = program.start()
    until(lambda: len(program.noted()) >= 10, 60)
    before = program.noted()
    program.end(process, number)
    program.ran()
    committed = program.committed()
    # But for what each of the jobs was about to hand over.
    assert len(before - committed) <= finished_program.JOBS
    assert program.run() == str(finished_program.result())
    assert program.ran() == Counter(set(finished_program.graph("", 0)) - committed)
