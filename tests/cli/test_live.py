"""`dask knot top`, `stacks`, `shell`: of clusters that other processes have open."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import dask
import pytest
from click.testing import CliRunner, Result

from dask_knot.cli.live import HEADS, picture, row
from dask_knot.cli.main import knot
from dask_knot.run.asks import PresentTask, Vitals
from dask_knot.run.names import ShardId, StageId
from dask_knot.runs.notices import Premises, announce, withdraw
from dask_knot.runs.vigil import VitalSign
from dask_knot.settings.defaults import DEFAULTS
from tests.job.runs import shard, task
from tests.runs.stores import MadeRun

SHARD = ShardId(StageId(0, 0), 3)
VITALS = Vitals("w", 0, "job-1:3", "host", 12, 1.234, 2, 3 * 2**20, 2**30)


@pytest.fixture(autouse=True)
def _configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with dask.config.set({"knot": DEFAULTS}):
        yield


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def opened(store: Path) -> Iterator[MadeRun]:
    """Announce a cluster without a name, of which no job is there by now."""
    made = MadeRun(store, "knot-1")
    premises = Premises("knot-1", made.run.store_url, "local")
    path = announce("knot-1", "tcp://127.0.0.1:1", premises)
    assert path is not None
    yield made
    withdraw(path)


def run(*words: str) -> Result:
    return CliRunner().invoke(knot, list(words))


@pytest.mark.parametrize("words", [["top"], ["stacks", "load-1"], ["shell", "load-1"]])
def test_without_a_cluster_it_is_said_what_to_do(words: list[str]) -> None:
    result = run(*words)
    assert result.exit_code == 1
    assert "no cluster or knot is open on this machine: name a run with --run" in result.output


@pytest.mark.parametrize("words", [["top"], ["stacks", "load-1"], ["shell", "load-1"]])
def test_a_run_that_is_not_there_is_told(words: list[str], store: Path) -> None:
    store.mkdir()
    result = run(*words, "--run", "climate", "--store", str(store))
    assert result.exit_code == 1
    assert "there is no run 'climate'" in result.output


def test_a_run_without_a_name_is_found_by_its_open_cluster(opened: MadeRun) -> None:
    for more in ([], ["--run", "knot-1"]):
        result = run("top", "--once", *more)
        assert result.exit_code == 0, result.output
        assert "no job of knot-1 is under way" in result.output
    result = run("stacks", "load-1")
    assert result.exit_code == 1
    assert "no job of knot-1 is under way" in result.output


def test_jobs_that_tell_nothing_keep_nobody_waiting_for_ever(opened: MadeRun, store: Path) -> None:
    opened.run.write_pack(SHARD.stage, [shard([task("a", int)])])
    result = run("top", "--once")
    assert result.exit_code == 0, result.output
    assert "no job has reported" in result.output
    result = run("stacks", "a")
    assert result.exit_code == 1
    assert re.search("it may be waiting, or have finished. A task may be holding", result.output)
    assert not [*store.glob("knot-1/asks/*")]


@pytest.mark.parametrize(
    ("tasks", "end"),
    [
        ((), ["", "between tasks"]),
        ((PresentTask("load-1", 12.3),), ["12 s", "load-1"]),
        ((PresentTask("a", 200.0), PresentTask("b", 1.0)), ["3 min", "a (and 1 more)"]),
    ],
)
def test_a_row_says_how_a_job_fares(tasks: tuple[PresentTask, ...], end: list[str]) -> None:
    from dataclasses import replace

    sign = VitalSign("climate", SHARD, replace(VITALS, tasks=tasks))
    start = ["climate", "job-1:3", "host, 12", "123%", "3.0 MiB of 1.0 GiB"]
    assert row(sign) == [*start, *end]
    assert row(VitalSign("climate", SHARD, replace(VITALS, limit=0)))[4] == "3.0 MiB"


def test_the_picture_has_all_jobs() -> None:
    from rich.console import Console

    sign = VitalSign("climate", SHARD, VITALS)
    console = Console(width=120, record=True)
    console.print(picture([sign, sign], []))
    lines = console.export_text().splitlines()
    assert all(head in lines[0] for head in HEADS)
    assert sum("job-1:3" in line for line in lines) == 2
