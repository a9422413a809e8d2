"""The line that moves while somebody waits: as a program with a terminal has it, or without one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dashboard.screens import in_terminal, screen

PROGRAM = """
import logging, sys, threading
from distributed import Client
from dask_knot import KnotCluster
from dask_knot.dashboard.terminal import terminal
from tests.end_to_end.tasks import wait_for

def wait(number):
    wait_for({go!r})
    if number == 3:
        raise ValueError("three")
    return number

def see():
    while sys.stderr.isatty() and "tasks" not in terminal._standing:
        pause.wait(0.05)

def talk():
    for number in range(3):
        see()
        print("hello from a thread")
        see()
        logging.warning("and from logging")
    see()
    open({go!r}, "w").close()

if __name__ == "__main__":
    logging.basicConfig(format="%(message)s")
    pause = threading.Event()
    options = dict(jobs=2, memory="300 MiB", dashboard_address=None)
    with KnotCluster(**options) as cluster, Client(cluster) as client:
        print("begun")
        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        futures = client.map(wait, range(8))
        print(sum(client.gather(futures, errors="skip")))
        thread.join()
    print("closed")
"""
ENVIRONMENT = {
    "DASK_KNOT__LOCAL__PROGRESS_AFTER": "0s",
    "PYTHONPATH": str(Path(__file__).parents[2]),
}


SAID = ["begun", *["hello from a thread", "and from logging"] * 3, "25", "closed"]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM.replace("{go!r}", repr(str(tmp_path / "go"))))
    return path


@pytest.mark.timeout(120)
def test_it_moves_in_a_terminal_and_nothing_of_it_stays(program: Path) -> None:
    written = in_terminal([sys.executable, str(program)], **ENVIRONMENT)
    assert re.search(r"dask_knot 0:\d\d  0 of 8 tasks, 2 jobs running, \d waiting", written)
    assert screen(written) == SAID


@pytest.mark.timeout(120)
def test_it_can_be_turned_off(program: Path) -> None:
    text = program.read_text().replace("sys.stderr.isatty()", "False")
    program.write_text(text)
    off = in_terminal([sys.executable, str(program)], **ENVIRONMENT, DASK_KNOT__PROGRESS="false")
    assert off.splitlines() == SAID


@pytest.mark.timeout(120)
def test_files_and_pipes_have_what_was_printed_and_nothing_else(program: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(program)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **ENVIRONMENT},
    )
    assert done.stdout.splitlines() == [one for one in SAID if "logging" not in one]
    assert done.stderr.splitlines() == ["and from logging"] * 3
