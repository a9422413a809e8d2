"""Shared memory is used where there is some, and given back however the client ends."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from dask_knot.local import commons as commons_module
from dask_knot.local.commons import LEAST, Commons
from dask_knot.run.headroom import Headroom
from dask_knot.run.sharedmemory import SharedMemory
from dask_knot.run.store import Store

GIB = 2**30


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder that counts as one in memory; all else is on a disk."""
    place = tmp_path / "shm"
    place.mkdir()

    def kind(path: object) -> str:
        return "tmpfs" if Path(str(path)).is_relative_to(place) else "ext4"

    monkeypatch.setattr(commons_module, "file_system_of", kind)
    return place


@pytest.fixture
def machine(tmp_path: Path) -> Headroom:
    """Give a machine of 16 GiB, of which 12 are available."""
    (tmp_path / "proc").mkdir()
    text = f"MemTotal: {16 * GIB // 1024} kB\nMemAvailable: {12 * GIB // 1024} kB\n"
    (tmp_path / "proc/meminfo").write_text(text)
    return Headroom(tmp_path)


def has(monkeypatch: pytest.MonkeyPatch, size: int, free: int) -> None:
    """Let the place be of some size, with so much of it free; 0: without a limit."""
    found = SimpleNamespace(f_blocks=size // 4096, f_bavail=free // 4096, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda _: found)


@pytest.fixture
def opened(place: Path, machine: Headroom) -> Iterator[list[Commons]]:
    """Close what a test opens."""
    found: list[Commons] = []
    yield found
    for one in found:
        one.close()
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    ("wanted", "size", "free", "share"),
    [
        (0.5, 16 * GIB, 16 * GIB, 6 * GIB),  # memory is scarcer than the place
        (0.5, 8 * GIB, 4 * GIB, 2 * GIB),
        (3 * GIB, 16 * GIB, 16 * GIB, 3 * GIB),
        (100 * GIB, 16 * GIB, 4 * GIB, 4 * GIB),  # more than there is
        (1.0, 16 * GIB, 16 * GIB, 12 * GIB - int(0.15 * 16 * GIB)),  # some stays for all else
    ],
)
def test_the_share_is_of_what_is_free(
    place: Path,
    machine: Headroom,
    opened: list[Commons],
    monkeypatch: pytest.MonkeyPatch,
    wanted: float,
    size: int,
    free: int,
    share: int,
) -> None:
    has(monkeypatch, size, free)
    found = Commons.of_share(wanted, place, machine)
    assert found is not None
    opened.append(found)
    assert found.memory.floor == free - share
    assert found.memory.lack(share) <= 0
    assert found.memory.lack(share + 4096) > 0


def test_a_place_without_a_limit_has_that_of_memory(
    place: Path, machine: Headroom, opened: list[Commons], monkeypatch: pytest.MonkeyPatch
) -> None:
    has(monkeypatch, 0, 0)
    found = Commons.of_share(0.25, place, machine)
    assert found is not None
    opened.append(found)
    assert (found.memory.floor, found.memory.reserve) == (0, 9 * GIB)


def test_there_is_none(
    place: Path, machine: Headroom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    has(monkeypatch, 64 * 2**20, 64 * 2**20)
    assert Commons.of_share(0.5, place, machine) is None  # a container's
    has(monkeypatch, 16 * GIB, LEAST // 2)
    assert Commons.of_share(1.0, place, machine) is None  # it is full
    has(monkeypatch, 16 * GIB, 16 * GIB)
    assert Commons.of_share(0, place, machine) is None  # nobody wants it
    assert Commons.of_share(0.5, tmp_path, machine) is None  # it is on a disk
    assert Commons.of_share(0.5, place / "nowhere", machine) is None
    assert Commons.of_share(0.5, place, Headroom(tmp_path / "nothing")) is None  # no Linux
    assert list(place.iterdir()) == []


def test_temporary_files_in_memory_need_no_other(
    place: Path, machine: Headroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    has(monkeypatch, 16 * GIB, 16 * GIB)
    monkeypatch.setattr(commons_module, "file_system_of", lambda _: "tmpfs")
    assert Commons.of_share(0.5, place, machine) is None


def test_a_place_where_nobody_may_write_is_none(
    place: Path, machine: Headroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise PermissionError("nobody may write here")

    has(monkeypatch, 16 * GIB, 16 * GIB)
    monkeypatch.setattr(commons_module, "Scratch", lambda _: refuse())
    assert Commons.of_share(0.5, place, machine) is None


def test_a_store_is_served_once(
    place: Path,
    machine: Headroom,
    opened: list[Commons],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has(monkeypatch, 16 * GIB, 16 * GIB)
    found = Commons.of_share(0.5, place, machine)
    assert found is not None
    opened.append(found)
    for _ in range(2):
        found.serve(tmp_path / "scratch/store")
    assert SharedMemory.of(tmp_path / "scratch/store") == found.memory
    found.close()
    assert SharedMemory.of(tmp_path / "scratch/store") is None


def refuse(*_: object) -> None:
    """Fail as a disk does that has no such thing."""
    raise OSError(errno.EPERM, "Operation not permitted")


def lead_nowhere(*_: object) -> None:
    """Make nothing that leads anywhere."""


@pytest.mark.parametrize("how", ["no links", "links that nobody follows", "no room"])
def test_a_store_that_can_not_be_served_is_as_it_was(
    place: Path,
    machine: Headroom,
    opened: list[Commons],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    has(monkeypatch, 16 * GIB, 16 * GIB)
    found = Commons.of_share(0.5, place, machine)
    assert found is not None
    opened.append(found)
    with monkeypatch.context() as patched:
        if how == "no room":
            patched.setattr(SharedMemory, "note", refuse)
        else:
            patched.setattr(os, "symlink", refuse if how == "no links" else lead_nowhere)
        found.serve(tmp_path / "store")
    assert SharedMemory.of(tmp_path / "store") is None
    assert [*Path(found.memory.folder).iterdir()] == []
    writer = Store(tmp_path / "store").writer("run/value")
    writer.write(b"x")
    writer.commit()
    assert [*Path(found.memory.folder).iterdir()] == []
