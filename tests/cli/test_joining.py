"""`dask knot list` and `dask_knot.connect`: by a name alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import dask_knot
from dask_knot.cli.main import knot
from dask_knot.errors import ConfigurationError
from tests.runs.stores import MadeRun


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_named_runs_are_listed(tmp_path: Path) -> None:
    MadeRun(tmp_path / "store", "climate").open()
    shown = CliRunner().invoke(knot, ["list", "--store", str(tmp_path / "store")])
    assert shown.exit_code == 0
    assert "no cluster is open on this machine" in shown.output
    assert "  climate" in shown.output


def test_a_name_that_nothing_has_makes_nothing(tmp_path: Path) -> None:
    MadeRun(tmp_path / "store", "climate").open()
    with pytest.raises(ConfigurationError, match=r"no named run 'climte'.*There is: 'climate'"):
        dask_knot.connect("climte", store=str(tmp_path / "store"))
    assert [one.name for one in (tmp_path / "store").iterdir()] == ["climate"]
