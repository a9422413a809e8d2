"""The examples as tests use them: imported, started as users do, and compared with what is true."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture
def example(
    request: pytest.FixtureRequest, project: Path, monkeypatch: pytest.MonkeyPatch
) -> ModuleType:
    """Import the example that the test is marked with."""
    need(request.param)
    monkeypatch.syspath_prepend(project / "examples")
    return importlib.import_module(request.param)


def need(name: str) -> None:
    """Skip the test where an example can't run: Dipy isn't made for Python 3.10."""
    if name == "dmri" and sys.version_info < (3, 11):
        pytest.skip("Dipy needs Python 3.11")


def missing_programs() -> str:
    """Say what `microscopy.py` lacks on this machine, if anything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent.parent / "examples")
        missing = importlib.import_module("microscopy").missing()
    return f"Debian's {' and '.join(missing)} must be installed" if missing else ""


def printed(project: Path, name: str, *arguments: str, seconds: float = 100) -> str:
    """Run an example as a user does and return what it printed, if it printed no mistake."""
    done = started(project, name, *arguments, seconds=seconds)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def started(
    project: Path, name: str, *arguments: str, seconds: float = 100
) -> subprocess.CompletedProcess[str]:
    """Run an example as a user does."""
    command = [sys.executable, f"examples/{name}.py", *arguments]
    # Another program may have the dashboard's port, which Dask would warn of.
    environment = os.environ | {"DASK_KNOT__DASHBOARD_ADDRESS": ":0"}
    return subprocess.run(
        command,
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def check_anisotropy(example: ModuleType, said: str, subjects: int) -> None:
    """Compare what diffusion MRI printed with what the heads were made with."""
    first, _, *rows, last = said.splitlines()
    assert first == f"{subjects} synthetic heads of 24³ voxels, 65 volumes each"
    found = {row[:12].strip(): [float(word) for word in row[12:].split()] for row in rows}
    assert found.keys() == example.TISSUES.keys()
    true, measured, worst = found["white matter"]
    assert true == pytest.approx(0.8, abs=0.02)
    assert measured == pytest.approx(true, abs=0.02)
    assert worst < 0.03
    assert found["gray matter"][:2] == pytest.approx([0.213, 0.213], abs=0.02)
    overlap = re.search(r"by (0\.\d+) or more", last)
    assert overlap is not None
    assert float(overlap[1]) > 0.9


def check_motions(example: ModuleType, rows: list[str], frames: int) -> None:
    """Compare a printed table with what the films were made with."""
    for film, row in enumerate(rows):
        number, length, spots, _, speed, _, diffusion, _ = row.split()
        true = example.true_motion(film)
        assert (int(number), int(length)) == (film, example.frames_of(film, frames))
        # Two that come close are seen as one.
        assert true.spots - 1.5 <= float(spots) <= true.spots + 0.1
        error = np.sqrt(2 * true.diffusion / (true.spots * int(length)))
        assert float(speed) == pytest.approx(true.speed, abs=4 * error)
        assert float(diffusion) == pytest.approx(true.diffusion, rel=0.35)
