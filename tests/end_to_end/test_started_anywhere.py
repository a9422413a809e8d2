"""A program may start in any folder: its jobs have its own import path and command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys
from distributed import Client
from dask_knot import KnotCluster
import helpers

def look(number):
    import os
    import sys

    import helpers

    return helpers.NAME, helpers.ARGV, sys.argv, sys.path, os.getcwd()

if __name__ == "__main__":
    import os

    expected = ("ours", sys.argv, sys.argv, sys.path, os.getcwd())
    for more in ({}, {"cores": 2, "processes": True}):
        with KnotCluster(jobs=1, memory="1 GiB", dashboard_address=None, **more) as cluster:
            with Client(cluster) as client:
                found = client.gather(client.map(look, range(2)))
                assert found == [expected] * 2, found
    print("done")
"""
HELPERS = "import sys\nNAME, ARGV = 'ours', list(sys.argv)\n"
#: Modules of ours, of Python that are needed first of all, and of packages that jobs need.
DECOYS = ("helpers", "json", "encodings", "runpy", "sitecustomize", "multiprocessing", "numpy")
FOLDERS = ("dask_knot", "distributed")


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """Give a folder full of modules that nobody may import."""
    folder = tmp_path / "crowded"
    folder.mkdir()
    for name in DECOYS:
        (folder / f"{name}.py").write_text(f"raise RuntimeError('a decoy: {name}')")
    for name in FOLDERS:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"raise RuntimeError('a decoy: {name}')")
    return folder


def run(arguments: list[str], folder: Path, program: str | None = None) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=folder,
        input=program,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_script_beside_its_modules_in_another_folder(crowded: Path, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "helpers.py").write_text(HELPERS)
    assert run([str(tmp_path / "program.py"), "--fast", "7"], crowded) == "done"


@pytest.mark.parametrize("way", ["-c", "-"])
def test_a_program_whose_folder_is_on_its_path(tmp_path: Path, way: str) -> None:
    """As in a notebook: the first entry of the path is empty, which means the folder."""
    (tmp_path / "helpers.py").write_text(HELPERS)
    # The program has these already, when it comes to look into its folder.
    program = PROGRAM.replace("import helpers", "open('selectors.py', 'w').write('1 / 0')", 1)
    program = program.replace("\n    import os\n", "\n    import os, helpers\n", 1)
    if way == "-c":
        assert run(["-c", program, "a"], tmp_path) == "done"
    else:
        assert run(["-", "a"], tmp_path, program) == "done"
