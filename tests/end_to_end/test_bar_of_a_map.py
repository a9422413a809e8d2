"""The bar of a map while somebody waits: as a program with a terminal has it, or without one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.dashboard.screens import in_terminal, screen

PROGRAM = """
import time
from dask_knot import Knot

def nap(number):
    time.sleep(0.02)
    return number

if __name__ == "__main__":
    with Knot("naps", nap, jobs=2, memory="300 MiB", store={store!r}) as knot:
        print(sum(knot.map(range(150)).result()))
    print("closed")
"""
ENVIRONMENT = {"PYTHONPATH": str(Path(__file__).parents[2])}


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM.replace("{store!r}", repr(str(tmp_path / "store"))))
    return path


@pytest.mark.timeout(120)
def test_it_moves_in_a_terminal_and_a_line_stays(program: Path) -> None:
    written = in_terminal([sys.executable, str(program)], **ENVIRONMENT)
    summed_up, *printed = screen(written)
    assert re.fullmatch(r"naps-0: 150 items \[0:\d\d, \d+\.\d/s\]", summed_up)
    assert printed == ["11175", "closed"]
    done = [int(count) for count in re.findall(r"(\d+)/150 \[", written)]
    assert done == sorted(done)
    assert len({*done}) > 3
    assert max(later - sooner for sooner, later in pairwise(done)) < 100


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
    assert (done.stdout, done.stderr) == ("11175\nclosed\n", "")


@pytest.mark.timeout(120)
def test_it_can_be_turned_off(program: Path) -> None:
    off = in_terminal([sys.executable, str(program)], **ENVIRONMENT, DASK_KNOT__PROGRESS="false")
    assert off.splitlines() == ["11175", "closed"]
