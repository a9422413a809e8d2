"""Ctrl-C in a script: the user's own lines, and one that says what became of the jobs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
import os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # behind a shell's `&` it is ignored
from distributed import Client
from dask_knot import Knot, KnotCluster

def slow(x):
    print("a job runs", flush=True)
    open(sys.argv[2] + "/running", "w").close()
    time.sleep(60)

SETTINGS = {"jobs": 2, "memory": "1 GiB", "store": sys.argv[2]}

def is_running():
    while not os.path.exists(sys.argv[2] + "/running"):
        time.sleep(0.05)
    # Not at once: Dask's `sync` can't be interrupted in its first moment.
    threading.Timer(1.0, print, ("running",), {"flush": True}).start()

def a_map():
    with Knot("interrupted", slow, **SETTINGS) as knot:
        future = knot.map(range(5))
        is_running()
        future.result()

def gather():
    name = {"name": "interrupted"} if sys.argv[1] == "named" else {}
    client = Client(KnotCluster(dashboard_address=None, **SETTINGS, **name))
    futures = client.map(slow, range(5))
    is_running()
    client.gather(futures)

if __name__ == "__main__":
    a_map() if sys.argv[1] == "map" else gather()
"""
STOPPED = "interrupted: the jobs of run 'interrupted' are stopped, and what they finished is kept"
SAID = {
    "gather": "interrupted: all jobs are stopped, and their results deleted",
    "named": STOPPED,
    "map": STOPPED,
}


@pytest.mark.parametrize("how", SAID)
def test_ctrl_c_is_told_in_few_lines(how: str, tmp_path: Path) -> None:
    program, store = tmp_path / "program.py", tmp_path / "store"
    program.write_text(PROGRAM)
    store.mkdir()
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": os.getcwd()}
    with subprocess.Popen(
        [sys.executable, program.name, how, str(store)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "running\n"
            os.killpg(process.pid, signal.SIGINT)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    lines = said.splitlines()
    assert len(lines) <= 22, said
    assert said.count("Traceback") == 1, said
    assert "KeyboardInterrupt" in lines, said
    assert [line.partition(":")[0] for line in lines].count("interrupted") == 1, said
    assert SAID[how] in said
    for noise in ("CommClosed", "was destroyed", "dask_knot/session", "dask_knot/cluster"):
        assert noise not in said
