"""No child outlives the client, not even one that is killed."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.local.desk import wait_until

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the local engine forks")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[psutil.Popen]:
    """Give a client whose two jobs run: one has started a process, one ignores SIGTERM."""
    path = str(Path(__file__).parent.parent.parent)
    program = [sys.executable, str(Path(__file__).with_name("client_program.py")), str(tmp_path)]
    files = (tmp_path / "first", tmp_path / "second")
    with psutil.Popen(program, env={**os.environ, "PYTHONPATH": path}) as client:
        wait_until(lambda: all(file.exists() for file in files))
        wait_until(lambda: files[1].read_text())
        processes = client.children(recursive=True)
        yield client
        # What a test has shown to be out of reach of the engine must not outlive the test.
        for process in (client, *processes):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def are_gone(processes: Iterable[psutil.Process]) -> bool:
    return not any(process.is_running() for process in processes)


def test_a_killed_client_leaves_nothing_behind(client: psutil.Popen) -> None:
    processes = client.children(recursive=True)
    # The server, two children, and what one of them has started.
    assert len(processes) == 4
    client.kill()
    wait_until(lambda: are_gone(processes))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread of the child watches")
def test_children_end_even_if_server_and_client_are_killed(client: psutil.Popen) -> None:
    (server,) = client.children()
    children = server.children()
    assert len(children) == 2
    client.suspend()
    server.kill()
    wait_until(lambda: are_gone(children))
