"""Settings in the wrong place are told, not ignored."""

from __future__ import annotations

from pathlib import Path

import dask
import pytest

from dask_knot.errors import ConfigurationError
from dask_knot.settings.settings import resolve
from dask_knot.settings.strays import _SAID


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(dask.config, "paths", [str(tmp_path)])
    monkeypatch.setattr(dask.config, "PATH", str(tmp_path))
    _SAID.clear()
    return tmp_path


def test_knot_that_is_no_mapping_is_an_error(folder: Path) -> None:
    (folder / "mine.yaml").write_text("knot: local\n")
    with pytest.raises(ConfigurationError, match=r"mine\.yaml says `knot: local`"):
        resolve({})


def test_a_setting_beside_knot_is_told_with_its_file(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "knot.yaml").write_text("jobs: 8\nstart-timeout: 60\n")
    (folder / "other.yaml").write_text("jobs: 8\n")
    resolve({})
    assert "knot.yaml has the setting 'jobs' outside `knot:`" in caplog.text
    assert "'start-timeout'" in caplog.text
    assert "other.yaml" not in caplog.text
    caplog.clear()
    resolve({})
    assert not caplog.records


def test_a_variable_with_one_underscore_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DASK_KNOT_JOBS", "8")
    monkeypatch.setenv("DASK_KNOT__CORES", "1")
    monkeypatch.setenv("DASK_KNOT_SOMETHING", "x")
    resolve({})
    assert [one.message for one in caplog.records] == [
        "the variable DASK_KNOT_JOBS is no setting: write DASK_KNOT__JOBS, with two underscores"
    ]
