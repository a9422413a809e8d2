"""The commands about named runs: on stores that no cluster has made."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import dask
import pytest
from click.testing import CliRunner, Result

from dask_knot.cli.main import knot
from dask_knot.run import note
from dask_knot.run.maps import MapRecord
from dask_knot.run.names import ShardId, StageId, first_plan
from dask_knot.run.orders import Claimant
from dask_knot.settings.defaults import DEFAULTS
from tests.runs.stores import MadeRun

FIRST, SECOND = StageId(0, 0), StageId(0, 1)


@pytest.fixture(autouse=True)
def _configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with dask.config.set({"knot": DEFAULTS}):
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


def run(folder: Path | None, *arguments: str, answer: str | None = None) -> Result:
    words = [*arguments, *(["--store", str(folder)] if folder is not None else [])]
    return CliRunner().invoke(knot, words, input=answer)


def good(folder: Path | None, *arguments: str, answer: str | None = None) -> str:
    result = run(folder, *arguments, answer=answer)
    assert result.exit_code == 0, result.output
    return result.output


def bad(folder: Path, *arguments: str, answer: str | None = None) -> str:
    result = run(folder, *arguments, answer=answer)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    assert isinstance(result.exception, SystemExit)
    return result.output


def made(folder: Path, name: str = "climate") -> MadeRun:
    """Make a run of two stages that is done but for one shard, and whose client is gone."""
    one = MadeRun(folder, name)
    one.open()
    one.plan(0, [["load-0", "load-1"], ["mean-0"]])
    one.finish(ShardId(FIRST, 0))
    one.finish(ShardId(SECOND, 0), "mean")
    return one


def test_without_runs_it_is_said_how_one_is_made(folder: Path) -> None:
    assert "there are no named runs" in good(None, "runs")
    folder.mkdir()
    assert "KnotCluster(name=...) makes one" in good(folder, "runs")


def test_a_store_that_is_not_there_is_refused(folder: Path) -> None:
    assert "there is no folder" in bad(folder, "runs")


def test_a_store_that_cannot_be_looked_at_is_told(folder: Path) -> None:
    folder.symlink_to(folder)  # who follows it comes to no end
    assert "can't be reached: Too many levels of symbolic links" in bad(folder, "runs")


def test_runs_are_listed_with_their_state(folder: Path) -> None:
    left = made(folder)
    done = made(folder, "done")
    done.finish(ShardId(FIRST, 1))
    lost = made(folder, "lost")
    lost.lose(ShardId(FIRST, 1))
    erred = made(folder, "erred")
    erred.err(ShardId(FIRST, 1))
    rows = {line.split()[0]: line for line in good(folder, "runs").splitlines()[1:]}
    assert "3 h  left    10 of 15" in rows["climate"]
    assert "done    15 of 15" in rows["done"]
    assert "failed  10 of 15" in rows["lost"]
    assert "failed  15 of 15" in rows["erred"]
    assert rows["climate"].endswith("local   ada@laptop")
    left.open(is_alive=True)
    left.plan(1_000_000, [["other-0"]])
    assert "running  10 of 20" in good(folder, "runs")


def test_more_parts_than_are_read_are_at_least_so_many_tasks(folder: Path) -> None:
    one = MadeRun(folder, "long")
    one.plan(0, [["load-0", "load-1"]], sizes=3000)
    for part in range(2001):
        one.part(ShardId(FIRST, 0), part, tasks=1)
    assert "left   at least 2,000 of 6,000" in good(folder, "runs")
    shown = good(folder, "show", "long")
    assert re.search(r"tasks done +at least 2,000 of 6,000\n", shown), shown
    assert "at least load 2,000/6,000" in shown


def test_what_runs_did_cost_is_added_up_if_that_is_asked(folder: Path) -> None:
    made(folder)
    heads, row = good(folder, "runs", "--cost").splitlines()[-2:]
    assert heads.split()[-3:] == ["vCPU-hours", "cost", "who"]
    assert row.endswith("0 USD  ada@laptop")
    shown = good(folder, "show", "climate", "--cost")
    assert "what it cost" in shown
    assert "0 USD (2 attempts" in shown
    assert "0 USD: this machine" in shown
    assert "what it cost" not in good(folder, "show", "climate")


def test_a_run_that_cannot_be_read_keeps_nobody_from_the_others(folder: Path) -> None:
    made(folder)
    broken = made(folder, "broken")
    (folder / "broken" / "log" / "0000000000").write_bytes(b"KR damaged")
    shown = good(folder, "runs")
    assert "broken can't be read: " in shown
    assert "10 of 15" in shown
    assert "cut off" in bad(folder, "show", "broken")
    assert "is deleted" in good(folder, "rm", "broken", "--yes")
    assert broken.run.survey().objects == 0


def test_what_is_no_run_is_not_listed(folder: Path) -> None:
    made(folder)
    (folder / "data.zarr").mkdir()
    (folder / "data.zarr" / "run").write_text("somebody else's")
    assert "data.zarr" not in good(folder, "runs")


def test_a_run_is_shown(folder: Path) -> None:
    one = made(folder)
    one.run.record.note_jobs(0, {0: "job-a", 1: "job-b"})
    one.run.record.publish("monthly means", b"")
    shown = good(folder, "show", "climate")
    assert "ada@laptop" in shown
    assert "opened 60 min ago, left" in shown
    assert "published   monthly means" in shown
    stage, after = [line for line in shown.splitlines() if line.startswith("stage 0.")]
    assert re.split("  +", stage) == [*("stage 0.0", "1 done, 1 left", "load 5/10", "-", "job-a")]
    assert after.split() == ["stage", "0.1", "1", "done", "mean", "5/5", "stage", "0.0", "job-b"]


@pytest.mark.parametrize("name", ["0.1", "stage 0.1"])
def test_one_stage_is_shown_by_its_name(folder: Path, name: str) -> None:
    made(folder)
    shown = good(folder, "show", "climate", name)
    assert "mean 5/5" in shown
    assert "load 5/10" not in shown


def test_a_later_session_begins_the_names_of_its_stages(folder: Path) -> None:
    one = made(folder)
    one.plan(first_plan(3), [["more-0"]])
    shown = good(folder, "show", "climate").partition("\nplan ")[2]  # before it are times of day
    assert "stage 3.0.0" in shown
    assert "plan 0 of session 3" in shown
    assert "1000000" not in shown
    assert not re.search(r"\b0{2}", shown)


@pytest.mark.parametrize("command", [["show"], ["logs"], ["why"]])
def test_a_stage_that_is_not_there_is_told_with_those_that_are(
    folder: Path, command: list[str]
) -> None:
    made(folder)
    told = bad(folder, *command, "climate", "7.1")
    assert "run climate has no stage 7.1. Its stages are: stage 0.0, stage 0.1" in told


def test_a_stage_that_failed_nowhere_has_no_logs(folder: Path) -> None:
    one = made(folder)
    one.err(ShardId(FIRST, 1))
    assert "shard 1 of stage 0.0" in good(folder, "logs", "climate", "stage 0.0")
    assert "no task of stage 0.1 raised" in good(folder, "logs", "climate", "0.1")
    assert "no log of shard" in good(folder, "logs", "climate", "0.0:0")


def test_failures_are_shown_with_their_last_lines(folder: Path) -> None:
    one = made(folder)
    one.lose(ShardId(FIRST, 1))
    shown = good(folder, "show", "climate")
    assert "JobMemoryError: job job-1 used more memory than allowed\n" in shown
    assert "reading a.nc" in shown
    two = made(folder, "other")
    two.err(ShardId(FIRST, 1))
    assert "load-1: ZeroDivisionError('division by zero')" in good(folder, "show", "other")


def test_an_unknown_run_is_answered_with_those_there_are(folder: Path) -> None:
    made(folder)
    made(folder, "zebra")
    said = bad(folder, "show", "climat")
    assert "there is no run 'climat'" in said
    assert "it has climate, zebra" in said
    for command in ("logs", "cancel", "rm"):
        assert "it has climate, zebra" in bad(folder, command, "climate-2")


def test_a_name_that_no_run_may_have_is_unknown(folder: Path) -> None:
    made(folder)
    result = run(folder, "rm", "../x", "--yes", "--force")
    assert result.exit_code == 2
    assert "there is no run '../x'" in result.output


def test_rm_asks_and_says_how_much_it_is(folder: Path) -> None:
    one = made(folder)
    objects = one.run.survey().objects
    said = bad(folder, "rm", "climate", answer="n\n")
    assert f"Delete run climate in {folder.as_uri()}: {objects} objects, " in said
    assert one.run.survey().objects == objects
    assert "run climate is deleted" in good(folder, "rm", "climate", answer="y\n")
    assert not (folder / "climate").exists()


@pytest.mark.parametrize("damage", ["gone", "damaged", "of another version"])
def test_rm_takes_a_run_that_does_not_say_what_it_is(folder: Path, damage: str) -> None:
    """An error of who opens it tells them to: its oldest objects may have expired, for one."""
    made(folder)
    first = folder / "climate" / "run"
    newer = b"".join(note.encode(note.NoteKind.RUN, {}, version=9))
    if damage == "gone":
        first.unlink()
    else:
        first.write_bytes(newer if damage == "of another version" else newer[:-1])
    assert "could not" not in good(folder, "rm", "climate", "--yes")
    assert not (folder / "climate").exists()


@pytest.mark.parametrize("name", ["run", "notes.txt"])
def test_rm_leaves_what_is_no_run(folder: Path, name: str) -> None:
    (folder / "thesis").mkdir(parents=True)
    (folder / "thesis" / name).write_text("mine")
    assert "thesis" in bad(folder, "rm", "thesis", "--yes", "--force")
    assert (folder / "thesis" / name).read_text() == "mine"


def test_rm_refuses_while_somebody_holds_the_run(folder: Path) -> None:
    one = made(folder)
    one.open(is_alive=True)
    assert "has it open" in bad(folder, "rm", "climate", "--yes")
    assert "10 of 15" in good(folder, "runs")
    assert "is deleted" in good(folder, "rm", "climate", "--yes", "--force")


def test_a_heartbeat_from_elsewhere_is_watched(folder: Path) -> None:
    one = made(folder)
    one.open(has_left=False)  # killed: its heartbeat stands still
    assert "heartbeats of run climate from laptop" in good(folder, "rm", "climate", "--yes")


def test_cancel_says_whose_jobs_end_with_their_client(folder: Path) -> None:
    one = made(folder)
    assert "nothing to stop" in good(folder, "cancel", "climate")
    one.open(is_alive=True)
    said = bad(folder, "cancel", "climate", "--yes")
    assert "are processes of its client" in said
    assert "cluster.end() there" in said
    one.run.record.maps.claim(MapRecord("climate", 1, 0.0))
    assert "knot.close() there" in bad(folder, "cancel", "climate", "--yes")


def test_logs_of_this_machine_are_what_was_kept(folder: Path) -> None:
    one = made(folder)
    one.lose(ShardId(FIRST, 1))
    said = good(folder, "logs", "climate")
    assert "go when it closes" in said
    assert "reading a.nc" in said
    assert "reading a.nc" in good(folder, "logs", "climate", "load-1")
    assert "no log of shard" in good(folder, "logs", "climate", "load-0")
    assert "2 keys of the run begin with 'load': load-0, load-1" in bad(
        folder, "logs", "climate", "load"
    )
    assert "no graph of the run has a key 'laod-1'; similar keys: load-1" in bad(
        folder, "logs", "climate", "laod-1"
    )


def test_a_run_of_another_version_is_told_and_can_be_deleted(folder: Path) -> None:
    made(folder)
    other = made(folder, "newer")
    newer = b"".join(replace(other.info, format=99).encode())
    (folder / "newer" / "run").write_bytes(newer)
    assert "newer can't be read: " in good(folder, "runs")
    for command in ("show", "logs"):
        assert "another version of dask_knot" in bad(folder, command, "newer")
    assert "another version of dask_knot" in bad(folder, "why", "newer", "load")
    assert "is deleted" in good(folder, "rm", "newer", "--yes")


def test_what_is_left_of_a_run_can_be_deleted(folder: Path) -> None:
    made(folder)
    (folder / "climate" / "run").unlink()
    assert "there are no named runs" in good(folder, "runs")
    assert "is deleted" in good(folder, "rm", "climate", "--yes")
    assert "there is no run 'climate'" in bad(folder, "rm", "climate", "--yes")


def test_what_is_no_run_is_never_deleted(folder: Path) -> None:
    folder.mkdir()
    (folder / "data").mkdir()
    (folder / "data" / "thesis").write_text("years of work")
    (folder / "data" / "run").write_text("somebody else's")
    bad(folder, "rm", "data", "--yes", "--force")
    assert (folder / "data" / "thesis").exists()
    (folder / "data" / "run").unlink()
    bad(folder, "rm", "data", "--yes", "--force")
    assert (folder / "data" / "thesis").exists()


def test_a_run_without_plans_is_empty(folder: Path) -> None:
    MadeRun(folder)
    assert "empty  0 of 0" in good(folder, "runs")
    assert "empty" in good(folder, "show", "climate")


def test_a_damaged_manifest_is_told_where_it_is_read(folder: Path) -> None:
    one = made(folder)
    one.err(ShardId(FIRST, 1))
    [manifest] = (folder / "climate" / "manifests" / FIRST.stored).glob("00001.end")
    manifest.write_bytes(manifest.read_bytes()[:-1] + b"?")
    shown = good(folder, "show", "climate")
    assert "failed" in shown
    assert "these bytes are not a failure" in shown
    manifest.write_bytes(b"KM")
    assert "was cut off at 2 bytes" in good(folder, "show", "climate")
    assert "was cut off at 2 bytes" in good(folder, "logs", "climate")


def test_why_names_what_differs(folder: Path) -> None:
    made(folder)
    assert ("no earlier plan had any load among its outputs") in good(
        folder, "why", "climate", "load-0"
    )
    assert "similar keys: load-0" in bad(folder, "why", "climate", "loda-0")


def test_wrong_settings_are_messages(folder: Path) -> None:
    result = CliRunner().invoke(knot, ["runs", "--engine", "mainframe"])
    assert result.exit_code == 1
    assert "engine" in result.output
    assert "aws" in result.output


def test_what_a_session_has_withdrawn_is_left(folder: Path) -> None:
    one = MadeRun(folder)
    one.open(is_alive=True)
    one.plan(0, [["load-0"]])
    assert "running  0 of 5" in good(folder, "runs")
    one.run.record.note_jobs(0, {0: ""})
    assert "left   0 of 5" in good(folder, "runs")
    assert "withdrawn" in good(folder, "show", "climate")
    (folder / "climate" / "jobs" / "0000000000").write_bytes(b"damaged")
    assert "running  0 of 5" in good(folder, "runs")


def test_show_says_what_was_handed_over(folder: Path) -> None:
    one = made(folder)
    one.hand_over(ShardId(FIRST, 1), 3, Claimant.CLIENT)
    shown = good(folder, "show", "climate")
    assert "2 done, 3 tasks handed over  load 7/7" in shown
    assert "12 of 12" in shown
