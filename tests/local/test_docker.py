"""Containers instead of processes: what is asked of the Docker engine, and how ends are told."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from dask_knot.batch.rules import OUT_OF_MEMORY
from dask_knot.errors import EngineError
from dask_knot.local.amenities import amenities
from dask_knot.local.docker import DockerLauncher
from dask_knot.local.launcher import ChildProcess, Exit
from dask_knot.settings.container import container as properties
from tests.local.desk import wait_until


class FakeContainer:
    """A container that runs until the test ends it."""

    def __init__(self, engine: FakeEngine, options: dict[str, Any]) -> None:
        self.engine = engine
        self.options = options
        self.attrs: dict[str, Any] = {"State": {}}
        self.signals: list[int] = []
        self.is_removed = False
        self.code = 0
        self._ended = threading.Event()

    def start(self) -> None:
        if self.engine.start_error is not None:
            raise self.engine.start_error
        self.engine.started.append(self)

    def logs(self, *, stream: bool, follow: bool) -> Iterator[bytes]:
        assert stream
        assert follow
        yield b"first line\n"
        self._ended.wait()
        yield b"last line\n"

    def wait(self, timeout: float | None) -> dict[str, int]:
        assert timeout is None
        return {"StatusCode": self.code}

    def reload(self) -> None:
        """Nothing to do: `attrs` are what the test says."""

    def kill(self, signal: int) -> None:
        self.signals.append(signal)
        if self._ended.is_set():
            raise APIError("is not running")
        if signal in self.engine.deadly:
            self.end(128 + signal)

    def remove(self, *, force: bool, v: bool) -> None:
        assert force
        assert v  # what an image calls VOLUME would else stay for each job
        self.is_removed = True
        raise NotFound("gone already")

    def end(self, code: int, is_out_of_memory: bool = False) -> None:
        self.code = code
        self.attrs = {"State": {"OOMKilled": is_out_of_memory}}
        self._ended.set()


class FakeEngine:
    """The few calls of the Docker engine."""

    def __init__(self) -> None:
        self.containers = self
        self.made: list[FakeContainer] = []
        self.started: list[FakeContainer] = []
        self.create_error: Exception | None = None
        self.start_error: Exception | None = None
        self.deadly = {signal.SIGKILL, signal.SIGTERM}
        self.gate = threading.Event()
        self.gate.set()
        self.is_closed = False
        self.said: dict[str, Any] = {}

    def info(self) -> dict[str, Any]:
        return self.said

    def create(self, image: str, **options: Any) -> FakeContainer:
        self.gate.wait()
        if self.create_error is not None:
            raise self.create_error
        self.made.append(FakeContainer(self, {"image": image, **options}))
        return self.made[-1]

    def close(self) -> None:
        self.is_closed = True


class Events:
    """What the launcher told."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.ends: dict[str, Exit] = {}

    def child_started(self, child_id: str) -> None:
        self.started.append(child_id)

    def child_exited(self, child_id: str, end: Exit) -> None:
        assert child_id not in self.ends
        self.ends[child_id] = end


class Desk:
    """A launcher over a fake engine."""

    def __init__(
        self, folder: Path, grace: float = 0.0, container: Mapping[str, Any] | None = None
    ) -> None:
        self.engine = FakeEngine()
        self.events = Events()
        self.log = folder / "log"
        self.folder = folder
        environment = {"OMP_NUM_THREADS": "2", "A": "launcher"}
        more = amenities(container or {}, [folder])
        self.launcher = DockerLauncher(self.engine, "image:1", more, environment, grace=grace)
        self.launcher.bind(self.events)

    def start(self, gpus: tuple[int, ...] = ()) -> None:
        self.launcher.start(
            ChildProcess("job:0/1", ("python", "-m", "x"), {"A": "job"}, self.log, 256, gpus)
        )

    def run(self) -> FakeContainer:
        """Start a child and wait until its container runs."""
        self.start()
        wait_until(lambda: self.events.started)
        return self.engine.started[0]

    def end(self) -> Exit:
        """Wait for the end of the child."""
        wait_until(lambda: self.events.ends)
        return self.events.ends["job:0/1"]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    found = Desk(tmp_path)
    yield found
    found.engine.gate.set()
    found.launcher.close()
    assert found.engine.is_closed


def test_what_a_container_is_given(desk: Desk) -> None:
    options = desk.run().options
    assert options["image"] == "image:1"
    assert options["command"] == ["python", "-m", "x"]
    assert options["environment"] == {"HOME": "/tmp", "OMP_NUM_THREADS": "2", "A": "job"}
    assert (options["mem_limit"], options["memswap_limit"]) == ("256m", "256m")
    assert options["network_mode"] == "host"
    assert options["user"] == f"{os.getuid()}:{os.getgid()}"
    (mount,) = options["mounts"]
    assert (mount["Source"], mount["Target"], mount["Type"]) == (
        str(desk.folder),
        str(desk.folder),
        "bind",
    )
    assert options["labels"] == {"dask-knot": "job:0/1"}
    assert options["device_requests"] is None


def test_what_containers_have_besides(tmp_path: Path) -> None:
    words = {
        "shared-memory": "1 GiB",
        "ulimits": {"nofile": "1024:4096"},
        "tmpfs": {"/scratch": {"size": "2 MiB", "options": ["noexec"]}},
        "devices": ["/dev/fuse:/dev/fuse:rw"],
        "swap": "1 GiB",
        "swappiness": 10,
        "read-only": True,
        "privileged": True,
        "volumes": {"/data": {"source": str(tmp_path / "data"), "read-only": True}},
    }
    desk = Desk(tmp_path, container=properties("container", words))
    options = desk.run().options
    desk.engine.gate.set()
    desk.launcher.close()
    assert options["shm_size"] == 2**30
    (limit,) = options["ulimits"]
    assert (limit["Name"], limit["Soft"], limit["Hard"]) == ("nofile", 1024, 4096)
    assert options["tmpfs"] == {"/scratch": "size=2m,noexec"}
    assert options["devices"] == ["/dev/fuse:/dev/fuse:rw"]
    assert (options["mem_limit"], options["memswap_limit"]) == ("256m", "1280m")
    assert (options["mem_swappiness"], options["read_only"], options["privileged"]) == (
        10,
        True,
        True,
    )
    store, data = options["mounts"]
    assert (store["Target"], store["ReadOnly"]) == (str(tmp_path), False)
    assert (data["Source"], data["Target"], data["ReadOnly"]) == (
        str(tmp_path / "data"),
        "/data",
        True,
    )


def test_a_volume_that_is_no_folder_here_is_one_of_the_engines_own() -> None:
    words = {
        "volumes": [{"name": "a"}, {"name": "b", "host": {}}],
        "mountPoints": [
            {"sourceVolume": "a", "containerPath": "/a"},
            {"sourceVolume": "b", "containerPath": "/b", "readOnly": True},
        ],
    }
    found = [(one["Type"], one["Source"], one["Target"]) for one in amenities(words).mounts]
    assert found == [("volume", None, "/a"), ("volume", None, "/b")]


def test_what_only_aws_has_is_named() -> None:
    words = {
        "ephemeral-storage": "100 GiB",
        "volumes": {"/a": "fs-0123456789abcdef0", "/b": "/mnt"},
        "init": False,
    }
    found = amenities(properties("container", words))
    assert found.unmet == ("ephemeralStorage", "efsVolumeConfiguration")
    assert found.options == {"init": False}
    assert amenities({}).unmet == ()


def test_gpus_are_those_that_were_given_out(desk: Desk) -> None:
    desk.start(gpus=(1, 3))
    wait_until(lambda: desk.engine.made)
    (request,) = desk.engine.made[0].options["device_requests"]
    assert request["DeviceIDs"] == ["1", "3"]


def test_an_end_is_told_with_log_and_code(desk: Desk) -> None:
    container = desk.run()
    container.end(3)
    assert desk.end() == Exit(3)
    assert desk.log.read_bytes() == b"first line\nlast line\n"
    assert container.is_removed


def test_the_log_is_written_while_it_runs(desk: Desk) -> None:
    desk.run()
    wait_until(lambda: desk.log.exists() and desk.log.read_bytes() == b"first line\n")


def test_too_much_memory_is_told_as_batch_does(desk: Desk) -> None:
    desk.run().end(137, is_out_of_memory=True)
    assert desk.end() == Exit(137, OUT_OF_MEMORY)


def test_a_signal_ends_it(desk: Desk) -> None:
    container = desk.run()
    desk.launcher.signal("job:0/1", signal.SIGTERM)
    assert desk.end() == Exit(143)
    assert container.signals == [signal.SIGTERM]
    desk.launcher.signal("job:0/1", signal.SIGKILL)
    assert container.signals == [signal.SIGTERM]


def test_a_signal_before_the_start_keeps_it_from_starting(desk: Desk) -> None:
    desk.engine.gate.clear()
    desk.start()
    desk.launcher.signal("job:0/1", signal.SIGTERM)
    desk.engine.gate.set()
    assert desk.end() == Exit(143)
    assert desk.engine.started == []
    assert desk.engine.made[0].is_removed


@pytest.mark.parametrize(
    ("where", "error", "reason"),
    [
        ("create_error", ImageNotFound("no image"), "CannotPullContainerError: no image"),
        ("create_error", APIError("bad"), "CannotCreateContainerError: bad"),
        ("start_error", APIError("no python"), "CannotStartContainerError: no python"),
    ],
)
def test_what_never_starts_says_why(desk: Desk, where: str, error: Exception, reason: str) -> None:
    setattr(desk.engine, where, error)
    desk.start()
    assert desk.end() == Exit(None, reason, "Task failed to start")
    assert desk.events.started == []


@pytest.mark.parametrize(
    "error", [DockerException("connection refused"), ConnectionError("connection refused")]
)
def test_an_engine_that_goes_away_loses_the_host(desk: Desk, error: Exception) -> None:
    desk.engine.create_error = error
    desk.start()
    end = desk.end()
    assert end.code is None
    assert end.status_reason is not None
    assert end.status_reason.startswith("Host EC2")


def test_a_mistake_is_told_as_an_end(desk: Desk) -> None:
    desk.engine.create_error = ZeroDivisionError("in our own code")
    desk.start()
    end = desk.end()
    assert end.code is None
    assert "ZeroDivisionError" in str(end.reason)


def test_closing_lets_containers_of_a_named_run_end_by_themselves(tmp_path: Path) -> None:
    desk = Desk(tmp_path, grace=20.0)
    container = desk.run()
    desk.launcher.close()
    assert container.signals == [signal.SIGTERM, signal.SIGKILL]
    assert desk.events.ends["job:0/1"] == Exit(143)


def test_closing_kills_containers_that_do_not_listen(tmp_path: Path) -> None:
    desk = Desk(tmp_path, grace=0.2)
    desk.engine.deadly = {signal.SIGKILL}
    container = desk.run()
    desk.launcher.close()
    assert container.signals == [signal.SIGTERM, signal.SIGKILL]
    assert desk.events.ends["job:0/1"] == Exit(137)


def test_closing_kills_and_waits(desk: Desk) -> None:
    container = desk.run()
    desk.launcher.close()
    assert container.signals == [signal.SIGKILL]
    assert container.is_removed
    assert desk.events.ends["job:0/1"] == Exit(137)
    with pytest.raises(EngineError, match="closed"):
        desk.start()
