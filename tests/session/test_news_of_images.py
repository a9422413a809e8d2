"""News of an image reach whoever opens a cluster: in a cell, on a terminal, in a log."""

from __future__ import annotations

import logging
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import dask_knot
from dask_knot.environment.problems import Notice
from dask_knot.session.engines import report_progress

ROOT = Path(dask_knot.__file__).parent.parent
#: An engine that looks for its image first, as those with one do.
ENGINE = """\
%%capture
from dask_knot.environment.requirements import resolve_requirements
from dask_knot.session import engines
opener = engines._OPENERS["local"]


def looking():
    def open_it(settings, environment, report):
        found = resolve_requirements(("auto",), None, report)
        report("image of " + ", ".join(name for name in ("h5py", "pyyaml") if name in found.lines))
        return opener()(settings, environment, report)

    return open_it


engines._OPENERS["local"] = looking
from dask_knot import KnotCluster
options = dict(jobs=1, dashboard_address=":0")
"""
CELLS = (
    ENGINE,
    "try:\n    import yaml, no_such_module_here\nexcept ValueError:\n    pass",
    "%%time\nfirst = KnotCluster(**options)",
    "first.close()\nimport h5py",
    "async with KnotCluster(asynchronous=True, **options):\n    pass",
)


def test_news_stand_in_the_cell_that_opens_the_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(
        book, timeout=100, iopub_timeout=60, resources=resources, allow_errors=True
    ).execute()
    said = [
        "".join(one.get("text", "") for one in cell.outputs if one.get("name") == "stdout")
        for cell in book.cells
    ]
    missing = "this session imports no_such_module_here, which is not installed here"
    assert "image of pyyaml\n" in said[2]
    assert "image of h5py, pyyaml\n" in said[4]
    assert [missing in text for text in said] == [False, False, True, False, True]


@pytest.mark.parametrize(
    ("line", "level"), [("building", logging.INFO), (Notice("left out"), logging.WARNING)]
)
def test_where_nobody_watches_the_log_warns_of_what_jobs_lack(
    line: str, level: int, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    report_progress(line)
    [record] = caplog.records
    assert (record.levelno, record.getMessage()) == (level, line)
    assert capsys.readouterr() == ("", "")
