"""Temporary folders go with their process, however that ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from dask_knot.local.scratch import Scratch

#: Makes a folder, says where, and is killed.
KILLED = """
import os, signal
from dask_knot.local.scratch import Scratch
scratch = Scratch()
(scratch.path / "values").write_text("large")
print(scratch.path, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_removed_when_it_is_closed() -> None:
    scratch = Scratch()
    (scratch.path / "values").mkdir()
    scratch.close()
    assert not scratch.path.exists()
    scratch.close()


def test_what_a_killed_process_left_is_removed_by_the_next(temporary: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED],
        env={"TMPDIR": str(temporary), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    left = Path(done.stdout.strip())
    assert (left / "values").exists()
    scratch = Scratch()
    assert not left.exists()
    scratch.close()


def test_what_is_in_use_or_somebody_elses_stays(temporary: Path) -> None:
    (temporary / "dask-knot-other").mkdir()
    first, second = Scratch(), Scratch()
    assert first.path.exists()
    second.close()
    assert first.path.exists()
    first.close()
    assert [path.name for path in temporary.iterdir()] == ["dask-knot-other"]
