"""Spare processes: they are there before their job, take it, and don't stay when none comes."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from dask_knot.local.spares import LINGER, MOST_FAILURES, Spares
from tests.local.desk import Desk, wait_until

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the local engine forks")


class Now:
    """A clock that is set by hand."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_as_many_are_wanted_as_ran_at_once_lately() -> None:
    now = Now()
    spares = Spares(now, cores=2)
    assert not spares.is_wanted(0)  # nobody has asked for a job yet
    spares.note_start(1)
    assert spares.is_wanted(1)
    assert not spares.is_wanted(2)  # each core has its job
    now.seconds = LINGER + 1
    assert not spares.is_wanted(0)


def test_without_any_there_is_nothing_to_take_or_end() -> None:
    spares = Spares(Now(), cores=2)
    assert spares.take({}) is None
    spares.dismiss()
    spares.note_end(1)
    assert not spares
    assert spares.pids == spares.descriptors == []


def test_what_ends_by_itself_is_not_made_for_ever() -> None:
    spares = Spares(Now(), cores=2)
    spares.note_start(1)
    for _ in range(MOST_FAILURES):
        assert spares.is_wanted(0)
        spares.note_failure()
    assert not spares.is_wanted(0)


def waiting() -> list[int]:
    """List the processes that the server has while no job runs."""
    ours = psutil.Process().children()
    server = next(one for one in ours if "dask_knot.local.forkserver" in one.cmdline())
    return [child.pid for child in server.children()]


def is_running(pid: int) -> bool:
    """Tell whether there is a process that has not come to an end."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def made(real: Desk) -> list[int]:
    """Let there be spares: a job has come and gone."""
    real.end(real.run("exits", "0"))
    return wait_until(waiting)


def test_a_job_gets_a_process_that_was_there_before_it(real: Desk) -> None:
    def is_taken() -> bool:
        before = made(real)
        job = real.submit("sh", "-c", "echo $$")
        return int(real.printed(job)[0]) in before

    # On a busy machine they may be given up before the job comes.
    assert any(is_taken() for _ in range(10))


def test_a_spare_that_was_killed_costs_no_job(real: Desk) -> None:
    killed = made(real)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    # Until then it may still take a job, which is as if the job had been killed.
    wait_until(lambda: not any(is_running(pid) for pid in killed))
    assert real.printed(real.run("says", "good", "day"))[0] == "good day"


def test_none_stays_when_no_job_comes(real: Desk) -> None:
    made(real)
    wait_until(lambda: not waiting())
