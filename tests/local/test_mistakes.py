"""Mistakes of the local engine's own: jobs end, and never run for ever because nobody listens."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dask_knot.local.fork import ForkLauncher
from dask_knot.local.launcher import HOST_LOST, Exit
from tests.local.desk import Desk, wait_until
from tests.local.fakes import FakeLauncher, running

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the local engine forks")


def once(real: Any) -> Any:
    """Make a call raise when it is made for the first time."""
    raised = []

    def call(*arguments: Any, **options: Any) -> Any:
        if not raised:
            raised.append(True)
            raise ZeroDivisionError("in our own code")
        return real(*arguments, **options)

    return call


def test_a_start_that_raises_fails_its_job_only(
    desk: Desk, launcher: FakeLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "start", once(launcher.start))
    bad = desk.end(desk.submit("true"))
    assert bad["status"] == "FAILED"
    assert "ZeroDivisionError" in bad["container"]["reason"] or "in our own code" in str(bad)
    assert desk.end(desk.submit("true"))["status"] == "SUCCEEDED"


@pytest.mark.parametrize("part", ["_ledger", "table"])
def test_an_end_that_cant_be_noted_ends_all_jobs(
    desk: Desk, launcher: FakeLauncher, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    jobs = [desk.submit("wait"), desk.submit("wait"), desk.submit("wait")]
    child, _ = running(launcher, 2)
    one = getattr(desk.batch._dispatcher, part)
    name = "give_back" if part == "_ledger" else "end"
    with monkeypatch.context() as patch:
        patch.setattr(one, name, once(getattr(one, name)))
        launcher.end(child, Exit(0))
    assert {desk.end(job)["status"] for job in jobs} == {"FAILED"}


def test_an_order_that_raises_ends_all_jobs(
    desk: Desk, launcher: FakeLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = desk.submit("wait")
    running(launcher, 1)
    monkeypatch.setattr(launcher, "signal", once(launcher.signal))
    desk.call("terminate_job", jobId=job, reason="enough")
    assert desk.end(job)["status"] == "FAILED"
    assert launcher.signals == []


@needs_fork
@pytest.mark.parametrize("name", ["_note_start", "_note_exit"])
def test_nobody_is_left_without_a_listener(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    launcher = ForkLauncher()
    desk = Desk(launcher, tmp_path)
    desk.define()
    pids = tmp_path / "pids"
    waits = desk.run("parents", str(pids))
    wait_until(pids.exists)
    monkeypatch.setattr(launcher, name, once(getattr(launcher, name)))
    lost = desk.end(desk.run("exits", "0"))
    assert lost["statusReason"] == HOST_LOST
    assert desk.end(waits)["statusReason"] == HOST_LOST
    wait_until(lambda: not any(_is_there(int(pid)) for pid in pids.read_text().split()))
    assert desk.end(desk.run("exits", "0"))["status"] == "SUCCEEDED"
    desk.batch.close()


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
