"""The commands about named runs see what a cluster of this machine has made, and is making."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from click.testing import CliRunner
from distributed import Client, wait

from dask_knot import KnotCluster
from dask_knot.cli.main import knot
from tests.end_to_end.conftest import until

SMALL = {"jobs": 2, "memory": "400 MiB", "dashboard_address": None}


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "store")


def dask_knot(store: str, *words: str, code: int = 0) -> str:
    result = CliRunner().invoke(knot, [*words, "--store", store, "--engine", "local"])
    assert result.exit_code == code, result.output
    return result.output


def hold(path: str) -> None:
    """Take as long as a file is there."""
    pause = threading.Event()
    while Path(path).exists():
        pause.wait(0.05)


def divide(x: int) -> float:
    return 1 / x


def mended(x: int) -> float:
    return 1 / x if x else 0.0


def test_a_run_is_seen_while_it_runs_and_after_it_failed(store: str, tmp_path: Path) -> None:
    held = tmp_path / "held"
    held.touch()
    with KnotCluster(name="watched", store=store, **SMALL) as cluster, Client(cluster) as client:
        futures = client.map(divide, [0, 1])
        wait(futures)
        slow = client.submit(hold, str(held), pure=False)
        until(lambda: "running" in dask_knot(store, "runs"), 20)
        assert "has it open" in dask_knot(store, "rm", "watched", "--yes", code=1)
        shown = dask_knot(store, "show", "watched")
        assert ", alive\n" in shown
        assert "hold 0/1" in shown
        held.unlink()
        wait(slow)
    assert "failed  3 of 3" in dask_knot(store, "runs")
    shown = dask_knot(store, "show", "watched")
    assert "division by zero" in shown
    assert "in divide" in shown
    assert ", left\n" in shown
    assert "is deleted" in dask_knot(store, "rm", "watched", "--yes")


def test_a_run_that_was_mended_is_done(store: str) -> None:
    for function in (divide, mended):
        with KnotCluster(name="mended", store=store, **SMALL) as cluster, Client(cluster) as client:
            wait(client.map(function, [0, 1], key="inverse"))
    assert "done" in dask_knot(store, "runs")
    why = dask_knot(store, "why", "mended", "inverse")
    lines = [line.strip() for line in why.splitlines() if "code of inverse" in line]
    assert lines == [
        "code of inverse: mended is new",
        "code of inverse: divide is gone",
    ]
