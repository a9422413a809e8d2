"""The program in a job: what Batch tells it, and what its exit code tells Batch."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dask_knot.batch.endings import explain
from dask_knot.batch.logs import LOG_LINES
from dask_knot.errors import InternalError, KilledTaskError
from dask_knot.job import program as job
from dask_knot.job.console import Printout
from dask_knot.run import codec, exits, pack, versions
from dask_knot.run.names import ShardId
from dask_knot.run.store import Store
from dask_knot.run.work import Options
from tests.job.runs import FIRST, Rehearsal, shard, task


@pytest.fixture(autouse=True)
def _as_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[None]:
    """Undo what the program does to the streams and the collector."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", sys.stdout)
        patch.setattr(sys, "stderr", sys.stderr)
        yield
    gc.unfreeze()


@pytest.fixture
def run(tmp_path: Path) -> Rehearsal:
    """Open a run in an empty folder."""
    return Rehearsal(Store(tmp_path / "a store"))


def url(run: Rehearsal) -> str:
    """Name the first stage of a run, as its jobs are told it."""
    return run.url_of(FIRST)


def test_a_plain_job_runs_the_only_shard(run: Rehearsal) -> None:
    content = shard([task("a", int, 1)])
    run.write(content)
    assert job.main([url(run)], {}) == 0
    assert run.read(content, ShardId(FIRST, 0)) == {"a": 1}
    assert run.manifest(ShardId(FIRST, 0)).attempt == 1


def test_a_child_runs_the_shard_of_its_index(run: Rehearsal) -> None:
    works = [shard([task(n, int, n)]) for n in range(3)]
    run.write(*works)
    environment = {"AWS_BATCH_JOB_ARRAY_INDEX": "2", "AWS_BATCH_JOB_ATTEMPT": "3"}
    assert job.main([url(run)], environment) == 0
    assert run.read(works[2], ShardId(FIRST, 2)) == {2: 2}
    assert run.manifest(ShardId(FIRST, 2)).attempt == 3
    assert len(run.files("manifests/")) == 1


def test_a_twin_runs_the_shard_that_it_is_told(run: Rehearsal) -> None:
    works = [shard([task(n, int, n)]) for n in range(3)]
    run.write(*works)
    environment = {"AWS_BATCH_JOB_ARRAY_INDEX": "1", "AWS_BATCH_JOB_ATTEMPT": "2"}
    assert job.main([url(run), "--child", "2"], environment) == 0
    assert run.read(works[2], ShardId(FIRST, 2)) == {2: 2}
    assert run.manifest(ShardId(FIRST, 2)).attempt == 52
    assert len(run.files("manifests/")) == 1


def test_errors_of_tasks_are_no_failure_of_the_job(run: Rehearsal) -> None:
    content = shard([task("bad", int, "x"), task("exit", sys.exit, 5)])
    run.write(content)
    assert job.main([url(run)], {}) == 0
    assert len(run.read(content, ShardId(FIRST, 0))) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["one", "two"],
        ["s3://bucket/run/data/x"],
        ["s3://bucket/run/packs/0-0", "--child"],
        ["s3://bucket/run/packs/0-0", "--child", "-1"],
        ["s3://bucket/run/packs/0-0", "--child", "x"],
        ["s3://bucket/run/packs/0-0", "--shard", "1"],
    ],
)
def test_wrong_arguments_are_answered_with_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert job.main(arguments, {}) == 2
    assert "usage: python -m dask_knot.job STAGE-URL" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["missing", "of something else", "unreachable"])
def test_a_shard_that_cannot_be_run_asks_for_another_try(
    run: Rehearsal, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    where = url(run)
    if kind == "of something else":
        run.store.put(run.names.pack(FIRST), [b"x" * 100])
    if kind == "unreachable":
        where = f"gs://bucket/{run.names.pack(FIRST)}"
    assert job.main([where], {}) == exits.NOT_RUN
    assert "could not be run" in capsys.readouterr().err
    assert run.files("manifests/") == []


def test_it_is_a_program(run: Rehearsal, tmp_path: Path) -> None:
    content = shard([task("a", print, "printed by a task")])
    run.write(content)
    done = subprocess.run(
        [sys.executable, "-m", "dask_knot.job", url(run)],
        env=os.environ | {"AWS_BATCH_JOB_ARRAY_INDEX": "0"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "printed by a task\n"), done.stderr
    assert run.read(content, ShardId(FIRST, 0)) == {"a": None}


def test_a_mistake_of_ours_is_told_as_ours_with_its_traceback(
    run: Rehearsal, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def clear(self: Printout) -> None:
        raise LookupError("injected")

    monkeypatch.setattr(Printout, "clear", clear)
    run.write(shard([task("a", int, 1)]))
    code = job.main([url(run)], {})
    log = capsys.readouterr().err.splitlines()
    assert code == exits.MISTAKE
    assert log[0].startswith("Traceback")
    assert len(log) <= LOG_LINES
    told = explain({"jobId": "j", "status": "FAILED", "container": {"exitCode": code}}, log)
    assert isinstance(told.error, InternalError)
    assert "LookupError: injected" in str(told.error)
    assert "in clear" in str(told.error)
    assert "os._exit" not in str(told.error)


def test_a_process_that_tasks_have_killed_is_no_mistake_of_ours(run: Rehearsal) -> None:
    options = Options(cores=2, processes=True)
    run.write(shard([task(n, os._exit, 3) for n in range(2)], options=options))
    code = job.main([url(run)], {})
    told = explain({"jobId": "j", "status": "FAILED", "container": {"exitCode": code}}, ())
    assert isinstance(told.error, KilledTaskError)


def test_a_job_ends_with_a_code_of_its_own(
    run: Rehearsal, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    frames = codec.encode(shard([task("a", int, 1)]))
    name = run.names.pack(FIRST)
    run.store.put(name, pack.build([versions.seal(frames, {"python": "2.7"})]))
    assert job.main([f"{run.store.url}/{name}"], {}) == exits.OTHER_VERSIONS
    assert "client has python 2.7" in capsys.readouterr().err
    assert run.files("manifests/") == []
