"""A process ends a moment after its work is done, with the code that its work has earned."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import atexit, multiprocessing, subprocess, sys, threading, time
from dask_knot.job.exit import leave

def sleep():
    time.sleep(1000)

if __name__ == "__main__":
    print("worked", end="")
    {left}
    leave(int(sys.argv[1]), 0.2)
"""

LEFT = {
    "thread 'mine'": "threading.Thread(target=sleep, name='mine').start()",
    "thread 'Thread-1'": "threading.Timer(1000, print).start()",
    "process ": (  # not for long: it holds the pipe of our output
        "multiprocessing.get_context('spawn').Process(target=time.sleep, args=(3,)).start()"
    ),
    "an exit function": "atexit.register(sleep)",
    "thread 'ThreadPoolExecutor-0_0'": (
        "from concurrent.futures import ThreadPoolExecutor; ThreadPoolExecutor(1).submit(sleep)"
    ),
}


@pytest.mark.parametrize("words", LEFT)
@pytest.mark.parametrize("code", [0, 75])
def test_what_is_left_behind_is_given_up(words: str, code: int) -> None:
    done = finish(PROGRAM.format(left=LEFT[words]), code)
    assert (done.returncode, done.stdout) == (code, "worked")
    assert words in done.stderr
    assert "the work of this job is done" in done.stderr


@pytest.mark.parametrize(
    "harm",
    [
        "sys.stdout = sys.stderr = None",
        "import os; os.close(1); os.close(2)",
        "sys.stderr.close(); sys.stdout.close()",
        "sys.stderr = sys.stdout = object()",
    ],
)
def test_whatever_was_done_to_its_streams(harm: str) -> None:
    left = f"{LEFT['an exit function']}; {harm}"
    assert finish(PROGRAM.format(left=left), 75).returncode == 75


def test_a_process_that_ends_by_itself_says_nothing() -> None:
    done = finish(PROGRAM.format(left="atexit.register(print, ' and left')"), 0)
    assert (done.returncode, done.stdout, done.stderr) == (0, "worked and left\n", "")


def finish(program: str, code: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, str(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
