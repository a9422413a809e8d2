"""No home folder, or one that can't be written: said where it matters, and no error elsewhere."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import dask
import pytest
from click.testing import CliRunner

from dask_knot.cli import files
from dask_knot.cli.main import knot
from dask_knot.errors import ConfigurationError
from dask_knot.run.folder import expanded
from dask_knot.run.store import Store
from dask_knot.runs.notices import announce, open_clusters
from dask_knot.settings.defaults import ensure_file
from dask_knot.settings.home import home_folder
from tests.aws.account import account, sign_in

STATE = ("XDG_STATE_HOME", ".local", "state")


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take HOME away, and the entry of the user: as in a container with a made-up user."""

    def unknown(user: int) -> NoReturn:
        raise KeyError(user)

    monkeypatch.delenv("HOME", raising=False)
    for name in ("XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(dask.config, "PATH", "~/.config/dask")


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let the home be something where nobody can make a folder, not even root."""
    (tmp_path / "home").write_text("a file")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(dask.config, "PATH", str(tmp_path / "home" / ".config" / "dask"))
    return tmp_path / "home"


def test_a_folder_that_is_named_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert home_folder(*STATE) == Path("/state")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/ada")
    assert home_folder(*STATE) == Path("/home/ada/.local/state")
    assert expanded("~/a") == Path("/home/ada/a")


@pytest.mark.usefixtures("homeless")
def test_without_a_home_nothing_is_announced_and_no_path_begins_there() -> None:
    assert home_folder(*STATE) is None
    assert announce("knot-1", "tcp://127.0.0.1:1") is None
    assert open_clusters() == {}
    with pytest.raises(ConfigurationError, match="no home folder here: set HOME"):
        expanded("~/values")
    with pytest.raises(ConfigurationError, match="no home folder here: set HOME"):
        Store("~/values")


@pytest.mark.usefixtures("homeless")
def test_without_a_home_no_folder_of_a_strange_name_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    ensure_file()
    with pytest.raises(OSError, match="no home folder"):
        files.write("dask-knot", "eu-west-1", None, {})
    assert list(tmp_path.iterdir()) == []


def test_in_a_locked_home_nothing_is_announced_or_written(locked: Path) -> None:
    assert announce("knot-1", "tcp://127.0.0.1:1") is None
    ensure_file()
    assert locked.read_text() == "a file"


@pytest.mark.parametrize("home", ["homeless", "locked"])
def test_up_and_down_go_to_their_end_and_say_what_to_do(
    home: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(monkeypatch)
    request.getfixturevalue(home)
    with account() as session:
        up = CliRunner().invoke(knot, ["up", "--name", "team"], obj=lambda **_: session)
        assert (up.exit_code, up.exception) == (0, None)
        assert (
            "the stack was made, but it could not be saved in Dask's configuration ("
        ) in up.output
        export = "export DASK_KNOT__ENGINE=aws DASK_KNOT__AWS__STACK=team DASK_KNOT__AWS__REGION="
        assert f"{export}eu-west-1" in up.output
        assert "next: `dask knot image" in up.output
        arguments = ["down", "--name", "team", "--yes"]
        down = CliRunner().invoke(knot, arguments, obj=lambda **_: session)
        assert (down.exit_code, down.exception) == (0, None)
        assert "stack team is deleted" in down.output


PROGRAM = """
from distributed import Client
from dask_knot import KnotCluster

if __name__ == "__main__":
    with KnotCluster(jobs=1, memory="1 GiB", dashboard_address=None) as cluster:
        with Client(cluster) as client:
            print(client.submit(sum, [1, 2]).result())
"""


@pytest.mark.usefixtures("locked")
def test_a_cluster_works_in_a_home_that_can_not_be_written(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, program.name],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("3\n", "")
