"""The way into a job: which program is become for it, and what is said where there is none."""

from __future__ import annotations

import json
import os
import platform
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dask_knot.errors import ConfigurationError, EngineError
from dask_knot.run.asks import Answer, PresentTask
from dask_knot.run.names import ShardId, StageId
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.runs import shells
from dask_knot.runs.depot import Words, find_runs
from dask_knot.runs.inquiry import Crew
from dask_knot.runs.shells import CONTAINER_SHELL, enter
from tests.runs.asked import crew
from tests.runs.stores import MadeRun

SHARD, OTHER = ShardId(StageId(0, 0), 0), ShardId(StageId(0, 0), 1)
HERE = platform.node()

Answering = Callable[..., None]


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Answering:
    """Let jobs answer at once."""

    def answer_with(*answers: Answer) -> None:
        found = dict(zip((SHARD, OTHER), answers, strict=False))
        monkeypatch.setattr(shells, "ask", lambda *arguments: found)

    return answer_with


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a Docker command line in the way that knows of one container."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "docker"
    program.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "words = ' '.join(sys.argv)\n"
        "if 'label=dask-knot=job-1:0/2' in words: print('c0ffee')\n"
        "elif 'Label' in words: print('job-1:0/2\\njob-2/1')\n"
    )
    program.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{folder}")
    return program


def jobs(tmp_path: Path, engine: str) -> list[Crew]:
    return [crew(Run(Store(tmp_path / "store"), "run"), [SHARD, OTHER], engine)]


def answer(job: str = "job-1:0", key: str = "load-1", **others: Any) -> Answer:
    given = {"attempt": "2", "host": HERE, "pid": os.getpid(), "folder": "/tmp", **others}
    return Answer(job, tasks=(PresentTask(key, 1.0),), **given)


def test_a_process_here_is_shared_folder_and_variables(
    tmp_path: Path, answering: Answering
) -> None:
    private = tmp_path / "private"
    private.write_text(json.dumps({"MY_VAR": "yes"}))
    answering(answer(private=str(private)))
    found = enter(jobs(tmp_path, "local"), "load-1", ["env"], True)
    assert (found.words, found.folder) == (("env",), "/tmp")
    assert found.environment == {
        "MY_VAR": "yes",
        "KNOT_JOB": "job-1:0",
        "KNOT_JOB_PID": str(os.getpid()),
    }
    assert "process" in found.said
    assert not private.exists()
    assert "yes" not in repr(found)  # there may be secrets in it


def test_without_a_command_it_is_the_shell_of_the_user(
    tmp_path: Path, answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", "/bin/my-shell")
    answering(answer())
    found = enter(jobs(tmp_path, "local"), "load-1", [], True)
    assert found.words == ("/bin/my-shell",)
    assert found.environment is not None
    assert found.environment["PATH"]  # those of the process itself, where it gave none


def test_a_process_elsewhere_or_gone_is_told(tmp_path: Path, answering: Answering) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for one in (answer(host="another"), answer(pid=ended.pid)):
        answering(one)
        with pytest.raises(EngineError, match="can't be reached from"):
            enter(jobs(tmp_path, "local"), "load-1", [], True)


def test_several_jobs_are_told_apart(tmp_path: Path, answering: Answering) -> None:
    answering(answer(), answer("job-1:1"))
    with pytest.raises(
        ConfigurationError, match=r"say which one: job-1:0 \(load-1\), job-1:1 \(load-1\)"
    ):
        enter(jobs(tmp_path, "local"), "load-1", [], True)


def test_a_map_is_meant_by_its_name_and_one_of_its_tasks_by_its_number(
    tmp_path: Path, answering: Answering
) -> None:
    there = jobs(tmp_path, "local")
    answering(answer(key="('pi-0', 1)"), answer("job-1:1", "('pi-0', 17)"))
    with pytest.raises(ConfigurationError, match=r"job-1:0 \(\('pi-0', 1\)\), job-1:1 \("):
        enter(there, "pi-0", [], True)
    assert "job-1:1" in enter(there, "pi-0:17", [], True).said
    with pytest.raises(ConfigurationError, match=r"running now: \('pi-0', 1\), \('pi-0', 17\)"):
        enter(there, "pi-0:2", [], True)


def test_jobs_of_several_runs_are_told_apart(tmp_path: Path, answering: Answering) -> None:
    answering(answer())
    with pytest.raises(ConfigurationError, match="'load' fits several jobs"):
        enter(jobs(tmp_path, "local") * 2, "load", [], True)


def test_nobody_who_runs_it_is_told(tmp_path: Path, answering: Answering) -> None:
    answering(answer())
    with pytest.raises(ConfigurationError, match="running now: load-1"):
        enter(jobs(tmp_path, "local"), "mean-0", [], True)


@pytest.mark.parametrize(("has_terminal", "mode"), [(True, "-it"), (False, "-i")])
def test_a_container_is_entered_in_the_folder_of_its_job(
    tmp_path: Path, answering: Answering, docker: Path, has_terminal: bool, mode: str
) -> None:
    answering(answer())
    found = enter(jobs(tmp_path, "docker"), "load-1", [], has_terminal)
    assert found.words == (
        *("docker", "exec", mode, "--workdir", "/tmp", "c0ffee"),
        *CONTAINER_SHELL,
    )


def test_a_container_is_found_by_its_job_even_if_that_does_not_answer(
    tmp_path: Path, answering: Answering, docker: Path
) -> None:
    answering()
    found = enter(jobs(tmp_path, "docker"), "job-1:0", ["ls", "-l"], False)
    assert found.words == ("docker", "exec", "-i", "c0ffee", "ls", "-l")


def test_a_container_that_is_gone_is_told(
    tmp_path: Path, answering: Answering, docker: Path
) -> None:
    answering(answer("job-3"))
    with pytest.raises(EngineError, match="no container of job job-3"):
        enter(jobs(tmp_path, "docker"), "load-1", [], False)


def test_without_docker_it_is_said_what_is_missing(
    tmp_path: Path, answering: Answering, docker: Path
) -> None:
    docker.unlink()
    answering(answer())
    with pytest.raises(EngineError, match="Docker's command line"):
        enter(jobs(tmp_path, "docker"), "load-1", [], False)


def test_aws_that_can_not_be_asked_is_told(tmp_path: Path, answering: Answering) -> None:
    answering(answer())
    with pytest.raises(EngineError, match="AWS can't be asked"):
        enter(jobs(tmp_path, "aws"), "load-1", [], False)


def test_a_job_that_does_not_answer_is_found_by_the_record_of_a_named_run(
    tmp_path: Path, answering: Answering, docker: Path
) -> None:
    made = MadeRun(tmp_path / "store", "climate", "docker")
    made.open(is_alive=True)
    made.plan(0, [["load-0", "load-1"]])
    made.run.record.note_jobs(0, {0: "job-1"})
    depot = find_runs(Words(store=str(tmp_path / "store")))
    there = Crew(made.run, "docker", [SHARD], depot)
    answering()
    assert enter([there], "load-0", ["ls"], False).words[-2:] == ("c0ffee", "ls")
    with pytest.raises(ConfigurationError, match="it may be waiting, or have finished"):
        enter([there], "load-1", ["ls"], False)  # its shard isn't under way
