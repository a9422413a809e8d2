"""Processes of this machine, told from those of others and from later ones of the same number."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

from dask_knot.runs.machine import machine_id, own_info, process_start, runs_here


def test_this_process_is_here() -> None:
    who = own_info("local")
    assert who.pid == os.getpid()
    assert runs_here(who) is True


def test_a_later_process_of_the_same_number_is_another_one() -> None:
    who = own_info("local")
    assert runs_here(replace(who, process_start=who.process_start - 1)) is False


def test_of_another_machine_nothing_is_known() -> None:
    assert runs_here(replace(own_info("local"), machine="other")) is None
    code = "from dask_knot.runs.machine import machine_id; print(machine_id())"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == machine_id()


def test_a_process_that_has_ended_does_not_run() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert process_start(process.pid) is None


def test_a_process_that_nobody_has_waited_for_does_not_run_either() -> None:
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", ""], os.environ)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie
    assert process_start(pid) is None
    os.waitpid(pid, 0)
