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
def grace() -> float:
    """Give the seconds that children may take to end by themselves."""
    return 0.0


@pytest.fixture
def client(tmp_path: Path, grace: float) -> Iterator[psutil.Popen]:
    """Give a client whose three jobs run.

    One has started a process, one ignores SIGTERM, and one writes something down then.
    """
    path = str(Path(__file__).parent.parent.parent)
    program = [sys.executable, str(Path(__file__).with_name("client_program.py")), str(tmp_path)]
    program.append(str(grace))
    files = [tmp_path / name for name in ("first", "second", "third")]
    with psutil.Popen(program, env={**os.environ, "PYTHONPATH": path}) as client:
        wait_until(lambda: all(file.exists() for file in files))
        wait_until(lambda: all(file.read_text() for file in files))
        processes = client.children(recursive=True)
        yield client
        # What a test has shown to be out of reach of the engine must not outlive the test.
        for process in (client, *processes):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def are_gone(processes: Iterable[psutil.Process]) -> bool:
    return not any(process.is_running() for process in processes)


@pytest.mark.parametrize(("grace", "said"), [(0.0, False), (1.0, True)])
def test_a_killed_client_leaves_nothing_behind(
    client: psutil.Popen, tmp_path: Path, grace: float, said: bool
) -> None:
    processes = client.children(recursive=True)
    # The server, three children, and what one of them has started.
    assert len(processes) == 5
    client.kill()
    # The server looks for its parent each second, and then there is the grace.
    wait_until(lambda: are_gone(processes), deadline=5)
    assert (tmp_path / "third.said").exists() == said


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread of the child watches")
def test_children_end_even_if_server_and_client_are_killed(client: psutil.Popen) -> None:
    (server,) = client.children()
    children = server.children()
    assert len(children) == 3
    client.suspend()
    server.kill()
    wait_until(lambda: are_gone(children))


#: Keeps values in memory, says that the server runs, and is killed.
LEAVING = """
import os, signal, sys
from pathlib import Path
from dask_knot.local.fork import ForkLauncher
launcher = ForkLauncher(leavings=[Path(sys.argv[1])])
launcher.warm()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_client_leaves_nothing_in_memory(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    (memory / "values").mkdir(parents=True)
    (memory / "values/a").write_text("large")
    path = str(Path(__file__).parent.parent.parent)
    program = [sys.executable, "-c", LEAVING, str(memory)]
    with psutil.Popen(program, env={**os.environ, "PYTHONPATH": path}):
        pass
    wait_until(lambda: not memory.exists())
