"""Real processes: how they start, what they see, how they end."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from dask_knot.local.capacity import Capacity
from dask_knot.local.fork import ForkLauncher
from dask_knot.local.launcher import HOST_LOST, OVER_MEMORY
from tests.local.desk import Desk, needs, wait_until

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the local engine forks")


@pytest.mark.parametrize(
    ("program", "code"),
    [
        (("exits", "0"), 0),
        (("exits", "3"), 3),
        (("drops", "3"), 3),
        (("raises",), 1),
        (("kills", "9"), 137),
        (("kills", "15"), 143),
        (("kills", "11"), 139),
    ],
)
def test_exit_codes_of_modules(real: Desk, program: tuple[str, ...], code: int) -> None:
    job = real.end(real.run(*program))
    assert job["container"]["exitCode"] == code
    assert job["status"] == ("FAILED" if code else "SUCCEEDED")


@pytest.mark.parametrize(
    ("command", "code", "line"),
    [
        (("sh", "-c", "echo out; exit 5"), 5, "out"),
        (("sh", "-c", "echo out >&2; kill -9 $$"), 137, "out"),
        (("python", "-c", "import sys; print(sys.stdin.read() == '')"), 0, "True"),
        (("no-such-program",), 127, "command not found"),
        (("/",), 126, "can't be executed"),
    ],
)
def test_exit_codes_of_commands(real: Desk, command: tuple[str, ...], code: int, line: str) -> None:
    job = real.submit(*command)
    assert any(line in printed for printed in real.printed(job))
    assert real.job(job)["container"]["exitCode"] == code


def test_the_log_has_what_was_printed(real: Desk) -> None:
    assert real.printed(real.run("says", "good", "day")) == ["good day", "on stderr"]
    assert real.printed(real.run("exits", "2")) == ["bye"]
    assert real.printed(real.run("drops", "2")) == ["about to drop"]


def test_a_traceback_is_that_of_the_program(real: Desk) -> None:
    lines = real.printed(real.run("raises"))
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: nothing here is right"
    assert not [line for line in lines if "forked.py" in line]


def test_the_environment(real: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_CLIENT", "later")
    names = ("OF_THE_JOB", "OF_THE_CLIENT", "OMP_NUM_THREADS", "AWS_BATCH_JOB_ARRAY_SIZE")
    overrides = {"environment": [{"name": "OF_THE_JOB", "value": "yes"}]}
    job = real.run("shows", *names, size=2, containerOverrides=overrides)
    real.end(job)
    assert json.loads(real.printed(f"{job}:1")[0]) == dict(
        zip(names, ("yes", "later", "1", "2"), strict=True)
    )


def test_gpus_are_made_visible(real: Desk) -> None:
    real.batch.resize(Capacity(2, 2000, gpus=2))
    overrides = {"resourceRequirements": needs(gpus="2")}
    job = real.run("shows", "CUDA_VISIBLE_DEVICES", containerOverrides=overrides)
    assert json.loads(real.printed(job)[0]) == {"CUDA_VISIBLE_DEVICES": "0,1"}


def test_an_array_of_two_hundred(real: Desk, tmp_path: Path) -> None:
    array = real.run("notes", str(tmp_path), size=200)
    assert real.end(array)["status"] == "SUCCEEDED"
    assert len(list(tmp_path.glob(f"{array}-*"))) == 200


def test_one_failure_among_many(real: Desk) -> None:
    array = real.run("fails_at", "7", size=10)
    assert real.end(array)["status"] == "FAILED"
    assert real.counts(array) == {"SUCCEEDED": 9, "FAILED": 1}
    assert real.job(f"{array}:7")["container"]["exitCode"] == 1


def times(folder: Path, array: str, index: int) -> tuple[float, float]:
    began, ended = (folder / f"{array}-{index}").read_text().split()
    return float(began), float(ended)


def test_dependencies_order_processes(real: Desk, tmp_path: Path) -> None:
    first = real.run("notes", str(tmp_path), size=4)
    whole = real.run("notes", str(tmp_path), size=4, dependsOn=[{"jobId": first}])
    pairs = real.run("notes", str(tmp_path), size=4, dependsOn=[{"jobId": whole, "type": "N_TO_N"}])
    row = real.run("notes", str(tmp_path), size=4, dependsOn=[{"type": "SEQUENTIAL"}])
    for array in (pairs, row):
        assert real.end(array)["status"] == "SUCCEEDED"
    last = max(times(tmp_path, first, index)[1] for index in range(4))
    for index in range(4):
        assert times(tmp_path, whole, index)[0] > last
        assert times(tmp_path, pairs, index)[0] > times(tmp_path, whole, index)[1]
    for before, after in zip(range(3), range(1, 4), strict=True):
        assert times(tmp_path, row, before)[1] < times(tmp_path, row, after)[0]


def test_retries(real: Desk) -> None:
    rules = [{"onExitCode": "75", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}]
    strategy = {"attempts": 3, "evaluateOnExit": rules}
    again, never = (real.run("recovers", c, retryStrategy=strategy) for c in ("75", "74"))
    assert [a["container"]["exitCode"] for a in real.end(again)["attempts"]] == [75, 0]
    assert [a["container"]["exitCode"] for a in real.end(never)["attempts"]] == [74]


def test_terminate_ends_what_a_child_has_started_too(real: Desk, tmp_path: Path) -> None:
    path = tmp_path / "pids"
    job = real.run("parents", str(path))
    wait_until(path.exists)
    real.call("terminate_job", jobId=job, reason="enough")
    found = real.end(job)
    assert (found["statusReason"], found["container"]["exitCode"]) == ("enough", 143)
    wait_until(lambda: not any(psutil.pid_exists(int(pid)) for pid in path.read_text().split()))


def test_what_a_child_leaves_behind_ends_with_it(real: Desk) -> None:
    (pid,) = real.printed(real.run("leaves"))
    wait_until(lambda: not psutil.pid_exists(int(pid)))


def test_a_stubborn_child_is_killed_after_the_grace(real: Desk, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    job = real.run("stubborn", str(path))
    wait_until(path.exists)
    real.call("terminate_job", jobId=job, reason="enough")
    assert real.end(job)["container"]["exitCode"] == 137


def test_a_timeout(real: Desk) -> None:
    job = real.run("waits", timeout={"attemptDurationSeconds": 1}, retryStrategy={"attempts": 3})
    found = real.end(job)
    assert found["statusReason"] == "Job attempt duration exceeded timeout"
    assert len(found["attempts"]) == 1


def test_the_memory_limit(real: Desk) -> None:
    overrides = {"resourceRequirements": needs(memory="150")}
    job = real.end(real.run("grows", "300", containerOverrides=overrides))
    assert job["container"]["exitCode"] == 137
    assert job["container"]["reason"] == OVER_MEMORY
    assert job["statusReason"] == "Essential container in task exited"


def test_memory_below_the_limit_is_left_alone(real: Desk, tmp_path: Path) -> None:
    overrides = {"resourceRequirements": needs(memory="600")}
    job = real.run("grows", "100", containerOverrides=overrides)
    timeout = real.run("waits", timeout={"attemptDurationSeconds": 1})
    real.end(timeout)
    assert real.status(job) == "RUNNING"


def server_of(real: Desk) -> psutil.Process:
    found = [
        child
        for child in psutil.Process().children()
        if "dask_knot.local.forkserver" in child.cmdline()
    ]
    return found[-1]


def test_a_server_that_ends_takes_its_children_and_is_started_anew(
    real: Desk, tmp_path: Path
) -> None:
    path = tmp_path / "pids"
    job = real.run("parents", str(path))
    wait_until(path.exists)
    server_of(real).kill()
    found = real.end(job)
    assert (found["status"], found["statusReason"]) == ("FAILED", HOST_LOST)
    wait_until(lambda: not any(psutil.pid_exists(int(pid)) for pid in path.read_text().split()))
    assert real.end(real.run("exits", "0"))["status"] == "SUCCEEDED"


def test_a_lost_host_is_worth_another_attempt(real: Desk, tmp_path: Path) -> None:
    path = tmp_path / "pids"
    rules = [
        {"onStatusReason": "Host EC2*", "action": "RETRY"},
        {"onReason": "*", "action": "EXIT"},
    ]
    job = real.run("parents", str(path), retryStrategy={"attempts": 2, "evaluateOnExit": rules})
    wait_until(path.exists)
    path.unlink()
    server_of(real).kill()
    wait_until(path.exists)
    real.call("terminate_job", jobId=job, reason="enough")
    assert [one["statusReason"] for one in real.end(job)["attempts"]] == [HOST_LOST, "enough"]


def test_an_interrupt_of_the_terminal_is_left_to_the_client(real: Desk) -> None:
    real.end(real.run("exits", "0"))
    server_of(real).send_signal(signal.SIGINT)
    assert real.end(real.run("exits", "0"))["status"] == "SUCCEEDED"


def test_closing_ends_processes(tmp_path: Path) -> None:
    before = set(psutil.Process().children())
    desk = Desk(ForkLauncher(), tmp_path)
    desk.define()
    path = tmp_path / "pids"
    desk.run("parents", str(path))
    wait_until(path.exists)
    desk.batch.close()
    wait_until(lambda: not any(psutil.pid_exists(int(pid)) for pid in path.read_text().split()))
    assert set(psutil.Process().children()) <= before


@pytest.mark.parametrize("grace", [0.0, 1.0])
def test_closing_lets_children_say_farewell(grace: float, tmp_path: Path) -> None:
    desk = Desk(ForkLauncher(grace=grace), tmp_path)
    desk.define()
    paths = [tmp_path / name for name in ("polite", "stubborn")]
    for path in paths:
        desk.run(path.name, str(path))
    wait_until(lambda: all(path.exists() and path.read_text() for path in paths))
    pids = [int(path.read_text()) for path in paths]
    begin = time.monotonic()
    desk.batch.close()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert grace <= time.monotonic() - begin < grace + 1.0
    assert (tmp_path / "polite.said").exists() == (grace > 0)


def test_closing_takes_no_longer_than_children_do(tmp_path: Path) -> None:
    desk = Desk(ForkLauncher(grace=20.0), tmp_path)
    desk.define()
    for number in range(2):
        desk.run("polite", str(tmp_path / f"{number}"))
    wait_until(lambda: all((tmp_path / f"{number}").exists() for number in range(2)))
    begin = time.monotonic()
    desk.batch.close()
    assert time.monotonic() - begin < 10
    assert all((tmp_path / f"{number}.said").exists() for number in range(2))


def test_interpreters_of_other_names_are_commands(real: Desk) -> None:
    job = real.submit(sys.executable, "-m", "tests.local.programs", "says", "hello")
    assert real.printed(job) == ["hello", "on stderr"]


def test_children_do_not_draw_the_same_numbers(tmp_path: Path) -> None:
    desk = Desk(ForkLauncher(preload=["numpy"]), tmp_path)
    desk.define()
    array = desk.run("draws", size=4)
    desk.end(array)
    drawn = {float(desk.printed(f"{array}:{index}")[0]) for index in range(4)}
    assert len(drawn) == 4
    assert all(math.isfinite(number) for number in drawn)
    desk.batch.close()


def test_a_server_that_can_not_start_says_why(tmp_path: Path) -> None:
    desk = Desk(ForkLauncher(environment={"PYTHONHOME": str(tmp_path)}), tmp_path)
    desk.define()
    job = desk.end(desk.run("exits", "0", retryStrategy={"attempts": 3}))
    assert job["statusReason"] == "Task failed to start"
    assert len(job["attempts"]) == 1 or "could not start" in job["container"]["reason"]
    assert "No module named 'encodings'" in job["container"]["reason"]
    desk.batch.close()


def test_a_server_that_is_killed_while_it_starts_is_a_lost_machine(tmp_path: Path) -> None:
    before = set(psutil.Process().children())
    launcher = ForkLauncher()
    launcher.warm()
    (server,) = set(psutil.Process().children()) - before
    server.suspend()  # so that it never starts
    desk = Desk(launcher, tmp_path)
    desk.define()
    host_lost = {"onStatusReason": "Host EC2*", "action": "RETRY"}
    others = {"onReason": "*", "action": "EXIT"}
    retries = {"attempts": 2, "evaluateOnExit": [host_lost, others]}
    job = desk.run("exits", "0", retryStrategy=retries)
    wait_until(lambda: launcher._children)
    server.kill()
    assert desk.end(job)["status"] == "SUCCEEDED"
    desk.batch.close()
