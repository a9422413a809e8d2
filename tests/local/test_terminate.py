"""Jobs that are ended from outside: terminated, cancelled, timed out, closed."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from dask_knot.batch.endings import explain
from dask_knot.errors import EngineError
from dask_knot.local.capacity import Capacity
from dask_knot.local.launcher import Exit
from dask_knot.tracking.events import Ending
from tests.local.desk import Desk, wait_until
from tests.local.fakes import FakeLauncher, running


def test_terminate_ends_running_and_waiting_children(desk: Desk, launcher: FakeLauncher) -> None:
    array = desk.submit("wait", size=4)
    children = running(launcher, 2)
    desk.call("terminate_job", jobId=array, reason="enough of it")
    assert desk.counts(array) == {"RUNNING": 2, "FAILED": 2}
    wait_until(lambda: set(launcher.signals) == {(child, signal.SIGTERM) for child in children})
    for child in children:
        launcher.end(child, Exit(143))
    parent = desk.end(array)
    assert (parent["status"], parent["statusReason"]) == ("FAILED", "enough of it")
    assert parent["isTerminated"]
    for index in (0, 3):
        child_job = desk.job(f"{array}:{index}")
        assert (child_job["statusReason"], child_job["isTerminated"]) == ("enough of it", True)
    assert len(launcher.started) == 2


def test_a_terminated_job_is_not_tried_again(desk: Desk, launcher: FakeLauncher) -> None:
    job = desk.submit("wait", retryStrategy={"attempts": 5})
    (child,) = running(launcher, 1)
    desk.call("terminate_job", jobId=job, reason="x")
    launcher.end(child, Exit(143))
    assert len(desk.end(job)["attempts"]) == 1


def test_what_ignores_the_polite_signal_is_killed(launcher: FakeLauncher, tmp_path: Path) -> None:
    now = [1000.0]
    desk = Desk(launcher, tmp_path, clock=lambda: now[0])
    desk.define()
    job = desk.submit("wait", timeout={"attemptDurationSeconds": 60})
    (child,) = running(launcher, 1)
    for later, signals in (
        (59.0, []),
        (1.5, [signal.SIGTERM]),
        (2.5, [signal.SIGTERM, signal.SIGKILL]),
    ):
        now[0] += later
        desk.batch.resize(Capacity(2, 2000))
        wait_until(lambda signals=signals: [one for _, one in launcher.signals] == signals)
    launcher.end(child, Exit(137))
    found = desk.end(job)
    assert found["statusReason"] == "Job attempt duration exceeded timeout"
    desk.batch.close()


def test_cancel_leaves_running_children_alone(desk: Desk, launcher: FakeLauncher) -> None:
    array = desk.submit("wait", size=4)
    children = running(launcher, 2)
    desk.call("cancel_job", jobId=array, reason="changed my mind")
    assert desk.counts(array) == {"RUNNING": 2, "FAILED": 2}
    assert desk.job(f"{array}:3")["isCancelled"]
    for child in children:
        launcher.end(child, Exit(0))
    assert desk.counts(array) == {"SUCCEEDED": 2, "FAILED": 2}
    assert launcher.signals == []


def test_ended_jobs_can_be_terminated_and_cancelled_to_no_effect(desk: Desk) -> None:
    job = desk.submit("true")
    before = desk.end(job)
    desk.call("terminate_job", jobId=job, reason="x")
    desk.call("cancel_job", jobId=job, reason="x")
    assert desk.job(job) == before


def test_one_child_can_be_terminated(desk: Desk) -> None:
    array = desk.submit("wait", size=4)
    desk.call("terminate_job", jobId=f"{array}:3", reason="x")
    assert desk.counts(array)["FAILED"] == 1
    assert "isTerminated" in desk.job(f"{array}:3")


def test_close_ends_everything_once(desk: Desk, launcher: FakeLauncher) -> None:
    array = desk.submit("wait", size=3)
    running(launcher, 2)
    desk.batch.close()
    desk.batch.close()
    assert launcher.is_closed
    assert desk.counts(array) == {"FAILED": 3}
    # Who leaves by a signal still watches: its run must not be taken for one that failed.
    assert explain(desk.job(f"{array}:2"), []).ending is Ending.LEFT
    with pytest.raises(EngineError, match="closed"):
        desk.submit("true")
