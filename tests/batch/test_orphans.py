"""No child outlives the client, not even one that is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.batch.desk import wait_until

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the local engine forks")


def test_a_killed_client_leaves_nothing_behind(tmp_path: Path) -> None:
    path = str(Path(__file__).parent.parent.parent)
    program = [sys.executable, str(Path(__file__).with_name("client_program.py")), str(tmp_path)]
    files = (tmp_path / "first", tmp_path / "second")
    with subprocess.Popen(program, env={**os.environ, "PYTHONPATH": path}) as client:
        wait_until(lambda: all(file.exists() for file in files))
        wait_until(lambda: files[1].read_text())
        processes = psutil.Process(client.pid).children(recursive=True)
        client.kill()
    # The server, two children, and what one of them has started.
    assert len(processes) == 4
    wait_until(lambda: not any(process.is_running() for process in processes))
