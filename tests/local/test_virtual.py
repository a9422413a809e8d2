"""LocalBatch in virtual time: hours of jobs without a thread, a sleep or a process."""

from __future__ import annotations

import heapq
import itertools
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dask_knot.local.batch import LocalBatch
from dask_knot.local.capacity import Capacity
from dask_knot.local.launcher import ChildProcess, Exit, Listener
from tests.local.desk import needs

START = 1_000_000.0
HOUR = 3600.0


class Hours:
    """A launcher whose children run for the seconds that they are given, on a clock that jumps."""

    def __init__(self) -> None:
        self.now = START
        self._listener: Listener | None = None
        self._ends: list[tuple[float, int, str, Exit]] = []
        self._ticket = itertools.count()
        self._running: set[str] = set()

    def bind(self, listener: Listener) -> None:
        self._listener = listener

    def start(self, child: ChildProcess) -> None:
        assert self._listener is not None
        self._running.add(child.child_id)
        self._listener.child_started(child.child_id)
        self._end_in(float(child.command[0]), child.child_id, Exit(0))

    def signal(self, child_id: str, number: int) -> None:
        if number == signal.SIGTERM:
            self._end_in(1.0, child_id, Exit(128 + number))

    def close(self) -> None:
        self._ends.clear()

    def pass_time(self, due: float | None) -> bool:
        """Let the next thing happen, here or there; tell whether there was one."""
        while self._ends and self._ends[0][2] not in self._running:
            heapq.heappop(self._ends)  # it was ended earlier
        moments = [end[0] for end in self._ends[:1]] + ([] if due is None else [due])
        if not moments:
            return False
        self.now = max(self.now, min(moments))
        while self._ends and self._ends[0][0] <= self.now:
            _, _, child_id, end = heapq.heappop(self._ends)
            if child_id in self._running:
                self._running.remove(child_id)
                assert self._listener is not None
                self._listener.child_exited(child_id, end)
        return True

    def _end_in(self, seconds: float, child_id: str, end: Exit) -> None:
        heapq.heappush(self._ends, (self.now + seconds, next(self._ticket), child_id, end))


@pytest.fixture
def hours() -> Hours:
    return Hours()


@pytest.fixture
def batch(hours: Hours, tmp_path: Path) -> Iterator[LocalBatch]:
    threads = threading.active_count()
    made = LocalBatch(
        Capacity(2, 2000), hours, log_folder=tmp_path, clock=lambda: hours.now, has_thread=False
    )
    container = {"command": ["60"], "image": "", "resourceRequirements": needs()}
    made.register_job_definition(
        jobDefinitionName="work", type="container", containerProperties=container
    )
    yield made
    assert threading.active_count() == threads
    made.close()


def submit(batch: LocalBatch, seconds: float, size: int, *upstream: str, timeout: int = 0) -> str:
    more = {"timeout": {"attemptDurationSeconds": timeout}} if timeout else {}
    after = [{"jobId": one, "type": "N_TO_N"} for one in upstream]
    response = batch.submit_job(
        jobName="job",
        jobQueue="queue",
        jobDefinition="work",
        arrayProperties={"size": size},
        containerOverrides={"command": [str(seconds)]},
        dependsOn=after,
        **more,
    )
    return str(response["jobId"])


def run(batch: LocalBatch, hours: Hours) -> float:
    """Let all time pass; tell how many seconds it were."""
    while hours.pass_time(batch.step()):
        pass
    return hours.now - START


def test_three_stages_of_hours(batch: LocalBatch, hours: Hours) -> None:
    first = submit(batch, HOUR, 2)
    second = submit(batch, 2 * HOUR, 2, first)
    third = submit(batch, 4 * HOUR, 2, second)
    assert run(batch, hours) == 7 * HOUR
    jobs = batch.describe_jobs(jobs=[first, second, third])["jobs"]
    assert [job["status"] for job in jobs] == ["SUCCEEDED"] * 3
    assert jobs[2]["stoppedAt"] == (START + 7 * HOUR) * 1000


def test_a_timeout_is_kept_to_the_second(batch: LocalBatch, hours: Hours) -> None:
    job = submit(batch, HOUR, 2, timeout=600)
    after = submit(batch, HOUR, 2, job)
    assert run(batch, hours) == 602  # SIGTERM, a second later the end, the timer of SIGKILL
    children = batch.describe_jobs(jobs=[f"{job}:0", f"{after}:0"])["jobs"]
    assert [child["statusReason"] for child in children] == [
        "Job attempt duration exceeded timeout",
        "Dependent Job failed",
    ]
    assert children[0]["stoppedAt"] == (START + 601) * 1000


def test_nothing_is_due_where_nothing_runs(batch: LocalBatch, hours: Hours) -> None:
    assert batch.step() is None
    submit(batch, HOUR, 2)
    batch.close()
    assert batch.step() is None
