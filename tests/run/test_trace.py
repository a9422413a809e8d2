"""A process tells where it is whatever it does; one that doesn't expect the question is left."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from dask_knot.run.names import ShardId, StageId
from dask_knot.run.trace import TracedJob, stacks_of, task_of, traced_jobs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there are no traces elsewhere")

URL = "file:///store/run/packs/0000000003-001"
#: Nothing else runs in a process that looks for such a text.
HOLD = """
import re
def hold():
    print("there", flush=True)
    re.match(r"(a+)+$", "a" * 40 + "b")
hold()
"""
TRACED = f"""
import time
from dask_knot.run.trace import leave_task, leave_trace
leave_trace({URL!r}, 7, "job-1:7")
leave_task()("load-1", time.time() - 10)
"""

Start = Callable[[str], int]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start programs, which say when they are there, and end them."""
    with ExitStack() as stack:

        def start_one(text: str) -> int:
            program = stack.enter_context(
                subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
            )
            stack.callback(program.kill)
            assert program.stdout is not None
            assert program.stdout.readline() == "there\n"
            return program.pid

        yield start_one


def test_a_process_whose_lock_is_held_tells_where(start: Start) -> None:
    pid = start(TRACED + HOLD)
    began = time.monotonic()
    found = stacks_of(pid)
    assert "in hold" in found
    assert time.monotonic() - began < 5
    assert "in hold" in stacks_of(pid)  # as often as one asks
    assert found.count("Current thread") == 1


def test_it_tells_its_task_and_its_shard(start: Start) -> None:
    pid = start(TRACED + HOLD)
    task = task_of(pid)
    assert task is not None
    assert task.key == "load-1"
    assert 10 <= task.seconds < 60
    (job,) = [one for one in traced_jobs() if one.pid == pid]
    assert job == TracedJob(pid, URL, 7, "job-1:7")
    assert job.shard_of("file:///store", "run") == ShardId(StageId(3, 1), 7)
    assert job.shard_of("file:///store", "another") is None


def test_a_process_without_a_trace_is_left_alone(start: Start) -> None:
    pid = start("import time; print('there', flush=True); time.sleep(60)")
    assert (stacks_of(pid), task_of(pid)) == ("", None)
    assert stacks_of(pid) == ""  # it lives


def test_a_task_that_has_ended_is_told_no_more(start: Start) -> None:
    text = "from dask_knot.run.trace import leave_task\nw = leave_task()\nw('a-1', 1.0)\nw('', 0)\n"
    assert task_of(start(text + HOLD)) is None


def test_a_process_that_is_gone_tells_nothing() -> None:
    program = subprocess.Popen([sys.executable, "-c", ""])
    program.wait()
    assert (stacks_of(program.pid), task_of(program.pid)) == ("", None)
