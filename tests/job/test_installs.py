"""An installation runs once in an environment, however many jobs begin at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dask_knot.job.plugins import install_once

PROGRAM = """
import sys, time
from pathlib import Path
from dask_knot.job.plugins import install_once

folder = Path(sys.argv[1])

def install():
    with (folder / "calls").open("a") as calls:
        calls.write("begin\\n")
        calls.flush()
        time.sleep(0.1)
        calls.write("end\\n")

(folder / f"ready-{sys.argv[2]}").touch()
while not (folder / "go").exists():
    time.sleep(0.001)
install_once("the-plugin", install, folder)
install_once(f"another-{sys.argv[2]}", install, folder)
"""


def test_the_next_ones_find_it_done(tmp_path: Path) -> None:
    calls: list[str] = []
    assert install_once("a", lambda: calls.append("a"), tmp_path)
    assert not install_once("a", lambda: calls.append("a"), tmp_path)
    assert install_once("b", lambda: calls.append("b"), tmp_path)
    assert calls == ["a", "b"]


def test_one_that_fails_is_tried_again(tmp_path: Path) -> None:
    def fail() -> None:
        raise OSError("no network")

    with pytest.raises(OSError, match="no network"):
        install_once("a", fail, tmp_path)
    assert install_once("a", lambda: None, tmp_path)


def test_another_environment_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert install_once("a", lambda: None, tmp_path)
    monkeypatch.setattr(sys, "prefix", "/another/environment")
    assert install_once("a", lambda: None, tmp_path)


def test_the_list_belongs_to_the_user_alone(tmp_path: Path) -> None:
    install_once("a", lambda: None, tmp_path)
    (listed,) = tmp_path.iterdir()
    assert listed.stat().st_mode & 0o777 == 0o600
    target = tmp_path / "of somebody else"
    target.touch()
    listed.unlink()
    listed.symlink_to(target)
    with pytest.raises(OSError, match=str(listed)):
        install_once("b", lambda: None, tmp_path)
    assert target.read_text() == ""


def test_jobs_that_begin_at_once_take_turns(tmp_path: Path) -> None:
    jobs = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path), str(n)], env=os.environ)
        for n in range(3)
    ]
    while not all((tmp_path / f"ready-{n}").exists() for n in range(3)):
        assert all(job.poll() is None for job in jobs)
    (tmp_path / "go").touch()
    assert [job.wait(timeout=60) for job in jobs] == [0, 0, 0]
    # Once for all, once more for each: and never two at the same time.
    assert (tmp_path / "calls").read_text().split() == ["begin", "end"] * 4
