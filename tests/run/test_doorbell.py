"""The doorbell rings for whole files in subfolders, whichever way they come, and for no others."""

from __future__ import annotations

import os
import select
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dask_knot.run.doorbell import MOST, Doorbell, open_doorbell
from dask_knot.run.run import Run
from dask_knot.run.store import Store

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is inotify on Linux only")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "manifests"


@pytest.fixture
def bell(folder: Path) -> Iterator[Doorbell]:
    bell = open_doorbell(folder)
    assert bell is not None
    yield bell
    bell.close()


def write(file: Path) -> None:
    """Let a file appear whole, as stores do."""
    file.parent.mkdir(exist_ok=True)
    unfinished = file.with_name(f"{file.name}#1")
    unfinished.write_bytes(b"whole")
    unfinished.rename(file)


def is_readable(bell: Doorbell) -> bool:
    return bool(select.select([bell.descriptor], [], [], 0)[0])


def test_it_rings_for_a_file_in_a_folder_that_comes_with_it(bell: Doorbell, folder: Path) -> None:
    assert not bell.hear()
    write(folder / "0-0" / "0.end")
    assert is_readable(bell)
    assert bell.hear()
    assert not is_readable(bell)


def test_it_rings_for_a_file_in_a_folder_that_was_there(bell: Doorbell, folder: Path) -> None:
    (folder / "0-0").mkdir()
    assert not bell.hear()
    write(folder / "0-0" / "0.end")
    assert bell.hear()


def test_it_rings_in_a_folder_of_before(folder: Path) -> None:
    (folder / "0-0").mkdir(parents=True)
    bell = Doorbell(folder)
    bell.attend(["0-0", "0-1"])
    write(folder / "0-0" / "0.end")
    assert bell.hear()
    bell.close()


def test_it_rings_for_a_link(bell: Doorbell, folder: Path, tmp_path: Path) -> None:
    (folder / "0-0").mkdir()
    bell.hear()
    (tmp_path / "whole").write_bytes(b"")
    os.link(tmp_path / "whole", folder / "0-0" / "0.end")
    assert bell.hear()


def test_it_is_silent_for_what_is_not_whole(bell: Doorbell, folder: Path) -> None:
    (folder / "0-0").mkdir()
    (folder / "0-0" / "0.end#1").write_bytes(b"not")
    assert not bell.hear()
    (folder / "0-0" / "1.end#1").write_bytes(b"not")
    assert not bell.hear()


def test_it_makes_no_run_anew_that_was_deleted(bell: Doorbell, folder: Path) -> None:
    write(folder / "0-0" / "0.end")
    bell.hear()
    shutil.rmtree(folder)
    assert bell.hear()  # that all is gone is news, too
    assert not bell.hear()
    assert not folder.exists()


def test_it_listens_at_the_newest_of_many(bell: Doorbell, folder: Path) -> None:
    for number in range(MOST + 3):
        (folder / f"{number}").mkdir()
        bell.hear()
    write(folder / "0" / "0.end")
    assert not bell.hear()
    write(folder / f"{MOST + 2}" / "0.end")
    assert bell.hear()


def test_nothing_of_it_is_left(folder: Path) -> None:
    bell = Doorbell(folder)
    assert any(folder.iterdir())  # so that the store doesn't remove it when it is empty
    bell.close()
    bell.close()
    assert not any(folder.iterdir())
    assert not bell.hear()
    bell.attend(["0-0"])


def test_a_store_that_is_no_folder_has_none() -> None:
    assert Run(Store("memory://"), "run").doorbell() is None


def test_a_folder_that_cannot_be_listened_at_has_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert open_doorbell(tmp_path / "file" / "manifests") is None


def test_a_store_that_is_away_is_not_made_anew(tmp_path: Path) -> None:
    run = Run(Store(tmp_path / "store"), "run")
    shutil.rmtree(tmp_path / "store")
    assert run.doorbell() is None
    assert not (tmp_path / "store").exists()
