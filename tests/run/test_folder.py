"""From a path or a URL to the folder that it names, if it names one."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from dask_knot.errors import StoreError
from dask_knot.run.folder import _path_of, check_is_there, folder_of


@pytest.mark.parametrize(
    ("place", "folder"),
    [
        ("/data/a b", "/data/a b"),
        ("/data/a%20b", "/data/a%20b"),  # a path is no URL: nothing in it stands for a blank
        ("file:///data", "/data"),
        ("file:///data/", "/data"),
        ("FILE:///data", "/data"),
        ("file://localhost/data", "/data"),
        ("file:///data/a%20b%23c", "/data/a b#c"),
        ("~/values", "/home/ada/values"),
        ("file:///data/~/values", "/data/~/values"),
    ],
)
def test_a_folder_by_path_or_url(place: str, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert folder_of(place) == Path(folder)


def test_a_path_without_a_root_begins_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert folder_of("values") == folder_of(Path("values")) == tmp_path / "values"
    assert folder_of("a:b") == tmp_path / "a:b"


@pytest.mark.parametrize("url", ["s3://bucket/prefix", "memory://", "https://example.com/a"])
def test_other_urls_name_no_folder(url: str) -> None:
    assert folder_of(url) is None


@pytest.mark.parametrize("name", ["a b", "50%", "a#b?c", "ä", "~"])
def test_a_folder_is_found_again_by_its_url(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    assert folder_of(folder.as_uri()) == folder
    assert folder_of(str(folder)) == folder


@pytest.mark.parametrize("path", [r"C:\data\a b", r"d:\50%", r"\\server\share\a#b"])
def test_drives_and_servers_of_windows(path: str) -> None:
    windows = PureWindowsPath(path)
    assert PureWindowsPath(_path_of(windows.as_uri(), is_windows=True)) == windows


def test_a_drive_is_no_scheme() -> None:
    assert folder_of("C:/data") == Path("C:/data").absolute()  # here a folder of a strange name


def test_this_system_is_one_of_the_two() -> None:
    pure = PureWindowsPath if os.name == "nt" else PurePosixPath
    path = pure(Path.cwd())
    assert _path_of(path.as_uri(), os.name == "nt") == path.as_posix()


def test_a_folder_that_is_away_is_said_with_what_it_was_needed_for(tmp_path: Path) -> None:
    check_is_there(tmp_path)
    with pytest.raises(StoreError, match="away, isn't there to get a: mount it again"):
        check_is_there(tmp_path / "away", " to get a")
