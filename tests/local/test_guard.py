"""The guard of a client's containers: it ends them if the client can't."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from docker.errors import APIError, NotFound

from dask_knot.local import guard
from dask_knot.local.guard import LABEL, Guard, end_containers
from tests.local.desk import wait_until

#: A client that has a guard, says which process that is, and does nothing more.
CLIENT = """
import sys, threading
import psutil
from dask_knot.local.guard import Guard

guard = Guard(0.5)
print(psutil.Process().children()[0].pid, flush=True)
if sys.argv[1] == "dismiss":
    guard.dismiss()
else:
    threading.Event().wait()
"""


class FakeContainer:
    """A container that may have ended, or be gone."""

    def __init__(self, guard: str, error: APIError | None = None) -> None:
        self.guard = guard
        self.error = error
        self.is_stubborn = False
        self.done: list[str] = []

    def kill(self, signal: int = 9) -> None:
        self.done.append(f"kill {signal}")
        if self.error is not None:
            raise self.error

    def remove(self, *, force: bool, v: bool) -> None:
        assert force
        assert v
        self.done.append("remove")
        if self.error is not None:
            raise self.error


class FakeEngine:
    """The one call of the Docker engine that a guard makes."""

    def __init__(self, *made: FakeContainer) -> None:
        self.containers = self
        self.made = made

    def list(self, *, all: bool = False, ignore_removed: bool, filters: Any) -> list[FakeContainer]:
        assert ignore_removed
        ours = [one for one in self.made if filters == {"label": f"{LABEL}={one.guard}"}]
        return ours if all else [one for one in ours if one.is_stubborn or not one.done]


def test_those_that_name_it_end_and_go() -> None:
    ours = [FakeContainer("a"), FakeContainer("a", NotFound("gone")), FakeContainer("a")]
    other = FakeContainer("b")
    end_containers(FakeEngine(*ours, other), "a")
    assert [one.done for one in ours] == [["kill 9", "remove"]] * 3
    assert other.done == []


def test_those_of_a_named_run_are_told_before() -> None:
    ours = [FakeContainer("a"), FakeContainer("a", NotFound("gone"))]
    begin = time.monotonic()
    end_containers(FakeEngine(*ours), "a", grace=20.0)
    assert time.monotonic() - begin < 10
    assert [one.done for one in ours] == [["kill 15", "kill 9", "remove"]] * 2


def test_those_that_do_not_listen_end_after_the_grace() -> None:
    one = FakeContainer("a")
    one.is_stubborn = True
    begin = time.monotonic()
    end_containers(FakeEngine(one), "a", grace=0.3)
    assert time.monotonic() - begin >= 0.3
    assert one.done == ["kill 15", "kill 9", "remove"]


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be no Docker engine."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")


def client(way: str) -> subprocess.Popen[str]:
    root = Path(guard.__file__).parents[2]
    command = [sys.executable, "-c", CLIENT, way]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("way", ["dismiss", "kill"])
def test_it_ends_after_its_client(way: str) -> None:
    with client(way) as one:
        assert one.stdout is not None
        pid = int(one.stdout.readline())
        if way == "kill":
            process = psutil.Process(pid)
            one.kill()
            wait_until(lambda: not process.is_running())
        else:
            one.wait()
            assert not psutil.pid_exists(pid)


@pytest.mark.usefixtures("nowhere")
def test_it_is_dismissed_twice() -> None:
    one = Guard()
    one.dismiss()
    one.dismiss()
