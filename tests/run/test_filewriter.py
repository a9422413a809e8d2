"""Values go into shared memory while there is room, else into the folder; nothing else stays."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dask_knot.errors import MissingObjectError, StoreError
from dask_knot.run import filewriter, unnamed
from dask_knot.run.sharedmemory import SharedMemory
from dask_knot.run.store import Store
from dask_knot.run.unnamed import UnnamedFile
from tests.run.conftest import shared_store

PIECES = [bytes([number]) * 1000 for number in range(8)]
NAME = "run/data/7f/0000000001-000-00003.000a1"


def written(store: Store, name: str = NAME) -> bytes:
    """Write an object in pieces, and read it."""
    writer = store.writer(name)
    for piece in PIECES:
        writer.write(piece)
    writer.commit()
    return bytes(store.get(name))


def here(folder: Path) -> list[str]:
    """Name all files of a folder, those that listings leave out as well, but for the note."""
    files = [path.name for path in folder.rglob("*") if not path.is_dir()]
    return sorted(name for name in files if not name.startswith("shared-memory"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "a folder"


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "memory"


def test_what_fits_is_in_memory(tmp_path: Path, folder: Path, memory: Path) -> None:
    store = shared_store(tmp_path)
    assert written(store) == b"".join(PIECES)
    assert (folder / NAME).is_symlink()
    assert len(here(memory)) == 1
    assert store.list("run/") == [NAME]
    assert store.sizes("run/") == {NAME: 8000}
    assert store.get_range(NAME, 2000, 1000) == PIECES[2]


def test_what_is_put_is_in_the_folder(tmp_path: Path, memory: Path) -> None:
    store = shared_store(tmp_path)
    store.put("run/manifests/a", [b"x"])
    assert store.put_new("run/manifests/b", [b"x"])
    assert here(memory) == []


def test_other_processes_find_it_by_the_folder(tmp_path: Path) -> None:
    written(shared_store(tmp_path))
    other = Store(tmp_path / "a folder")
    assert other.get(NAME) == b"".join(PIECES)
    written(other, "run/data/b")
    assert (tmp_path / "a folder/run/data/b").is_symlink()


@pytest.mark.parametrize("way", ["delete", "delete_all"])
def test_deletion_leaves_nothing(way: str, tmp_path: Path, folder: Path, memory: Path) -> None:
    store = shared_store(tmp_path)
    written(store)
    store.delete([NAME]) if way == "delete" else store.delete_all("run/")
    assert here(memory) == here(folder) == []
    assert not (folder / "run").exists()


def test_what_is_given_up_leaves_no_folder(tmp_path: Path, folder: Path) -> None:
    writer = shared_store(tmp_path, floor=2**62).writer(NAME)
    writer.write(b"x")
    assert (folder / NAME).parent.exists()
    writer.abort()
    assert not (folder / "run").exists()


@pytest.mark.parametrize(("floor", "reserve"), [(2**62, 0), (0, 2**62)])
def test_without_room_it_is_in_the_folder(
    tmp_path: Path, memory: Path, floor: int, reserve: int
) -> None:
    assert written(shared_store(tmp_path, floor, reserve)) == b"".join(PIECES)
    assert here(memory) == []


def lacking(monkeypatch: pytest.MonkeyPatch, answers: list[int]) -> None:
    """Let memory lack so many bytes, one time after another."""
    left = iter(answers)
    monkeypatch.setattr(SharedMemory, "lack", lambda *_: next(left, 1))


def test_it_moves_when_memory_fills_up(
    tmp_path: Path, folder: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filewriter, "AHEAD", 1000)
    store = shared_store(tmp_path)
    lacking(monkeypatch, [0, 0, 0, 1])
    assert written(store) == b"".join(PIECES)
    assert here(memory) == []
    assert here(folder) == [Path(NAME).name]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.ENOMEM])
def test_it_moves_when_memory_is_full(
    tmp_path: Path, folder: Path, memory: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    real, calls = os.write, []

    def write(descriptor: int, data: memoryview) -> int:
        calls.append(bytes(data))
        if len(calls) == 4:
            return real(descriptor, data[:300])  # which it has room for yet
        if len(calls) == 5:
            raise OSError(code, "there is no room")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    assert written(shared_store(tmp_path)) == b"".join(PIECES)
    assert here(memory) == []
    assert here(folder) == [Path(NAME).name]


def test_it_moves_when_there_is_no_room_for_a_name(
    tmp_path: Path, folder: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = UnnamedFile.name

    def name(file: UnnamedFile, path: str) -> None:
        if path.startswith(str(memory)):
            raise OSError(errno.ENOSPC, "there is no room")
        real(file, path)

    monkeypatch.setattr(UnnamedFile, "name", name)
    assert written(shared_store(tmp_path)) == b"".join(PIECES)
    assert here(memory) == []
    assert here(folder) == [Path(NAME).name]


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_memory_that_is_removed_is_done_without(
    tmp_path: Path, folder: Path, memory: Path, when: str
) -> None:
    store = shared_store(tmp_path)
    writer = store.writer(NAME)
    if when == "meanwhile":
        writer.write(PIECES[0])
    for file in memory.iterdir():
        file.unlink()
    memory.rmdir()
    if when == "before":
        writer.write(PIECES[0])
    writer.commit()
    assert store.get(NAME) == PIECES[0]
    assert not (folder / NAME).is_symlink()
    assert not memory.exists()


def test_values_in_memory_that_was_removed_are_missing(tmp_path: Path, memory: Path) -> None:
    store = shared_store(tmp_path)
    written(store)
    for file in memory.iterdir():
        file.unlink()
    with pytest.raises(MissingObjectError):
        store.get_range(NAME, 0, 100)
    store.delete([NAME])


@pytest.mark.parametrize("kind", ["memory", "folder"])
def test_what_replaces_another_leaves_nothing_of_it(
    tmp_path: Path, folder: Path, memory: Path, kind: str
) -> None:
    store = shared_store(tmp_path)
    written(store)
    other = store if kind == "memory" else Store(folder)
    if kind == "folder":
        assert other._files is not None
        assert other._files.memory is not None
        other._files.memory = SharedMemory(str(memory), 2**62, 0)
    writer = other.writer(NAME)
    writer.write(b"new")
    writer.commit()
    assert store.get(NAME) == b"new"
    assert len(here(memory)) == (kind == "memory")


@pytest.mark.parametrize("kind", ["memory", "folder"])
def test_what_is_replaced_and_can_not_be_removed_harms_nothing(
    tmp_path: Path, memory: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> None:
        raise OSError(errno.EIO, "it can't be removed")

    store = shared_store(tmp_path)
    written(store)
    store.be_patient(1.0)
    if kind == "folder":
        assert store._files is not None
        store._files.memory = SharedMemory(str(memory), 2**62, 0)
    writer = store.writer(NAME)
    writer.write(b"new")
    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", refuse)
        writer.commit()
    assert store.get(NAME) == b"new"


def test_the_folder_may_be_full_when_a_link_is_made(
    tmp_path: Path, folder: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def symlink(*_: object) -> None:
        raise OSError(errno.ENOSPC, "there is no room")

    store = shared_store(tmp_path)
    writer = store.writer(NAME)
    writer.write(b"x")
    with monkeypatch.context() as patched:
        patched.setattr(os, "symlink", symlink)
        with pytest.raises(StoreError, match="no room"):
            writer.commit()
    writer.commit()  # as it is tried again by who is patient
    assert store.get(NAME) == b"x"
    other = store.writer("run/data/b")
    monkeypatch.setattr(os, "symlink", symlink)
    with pytest.raises(StoreError, match="no room"):
        other.commit()
    other.abort()
    assert len(here(memory)) == 1
    assert here(folder) == [Path(NAME).name]


#: Writes an object and is killed before it is whole.
KILLED = """
import os, signal, sys
from dask_knot.run.store import Store
writer = Store(sys.argv[1]).writer("run/data/a")
writer.write(b"x" * 1000)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere files have names")
@pytest.mark.parametrize("kind", ["memory", "folder"])
def test_who_is_killed_leaves_nothing(
    tmp_path: Path, folder: Path, memory: Path, kind: str
) -> None:
    shared_store(tmp_path, floor=0 if kind == "memory" else 2**62)
    command = [sys.executable, "-c", KILLED, str(folder)]
    done = subprocess.run(command, env={"PYTHONPATH": ":".join(sys.path)}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert here(memory) == here(folder) == []


@pytest.mark.skipif(not unnamed._NO_NAME, reason="there are no files without a name here")
class TestWithoutLinks:
    """As on Android, and where the folder was unmounted and mounted again meanwhile."""

    @pytest.fixture(autouse=True, params=[errno.EXDEV, errno.EPERM, errno.EACCES])
    def without(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise OSError(request.param, os.strerror(request.param))

        monkeypatch.setattr(os, "link", refuse)

    def test_the_same_comes_out(self, tmp_path: Path, folder: Path, memory: Path) -> None:
        assert written(shared_store(tmp_path)) == b"".join(PIECES)
        assert len(here(memory)) == 1
        assert here(folder) == [Path(NAME).name]

    def test_a_full_disk_may_have_room_later(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> int:
            raise OSError(errno.ENOSPC, "the disk is full")

        store = Store(folder)
        writer = store.writer(NAME)
        writer.write(b"x")
        with monkeypatch.context() as patched:
            patched.setattr(os, "sendfile", refuse)
            with pytest.raises(StoreError, match="the disk is full"):
                writer.commit()
        assert here(folder) == []
        writer.commit()
        assert store.get(NAME) == b"x"
        assert here(folder) == [Path(NAME).name]


class TestWithoutUnnamedFiles:
    """As it is on a network, and on other systems than Linux."""

    @pytest.fixture(autouse=True, params=["none", "refused"])
    def without(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        if request.param == "none":
            monkeypatch.setattr(unnamed, "_NO_NAME", 0)
            return
        real = os.open

        def refuse(path: str, flags: int, *mode: int) -> int:
            if flags & unnamed._NO_NAME == unnamed._NO_NAME:
                raise OSError(errno.EOPNOTSUPP, "there is no such thing here")
            return real(path, flags, *mode)

        if unnamed._NO_NAME:
            monkeypatch.setattr(os, "open", refuse)

    def test_the_same_comes_out(self, tmp_path: Path, folder: Path, memory: Path) -> None:
        assert written(shared_store(tmp_path)) == b"".join(PIECES)
        assert len(here(memory)) == 1
        assert here(folder) == [Path(NAME).name]

    def test_listings_leave_out_what_is_written_yet(self, tmp_path: Path, folder: Path) -> None:
        store = Store(folder)
        writer = store.writer(NAME)
        writer.write(b"x")
        assert len(here(folder)) == 1
        assert store.list("") == []
        writer.abort()
        assert here(folder) == []

    def test_an_answer_that_was_lost_is_no_failure(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.replace

        def replace(name: str, path: str) -> None:
            real(name, path)
            raise FileNotFoundError(f"{name} isn't there")  # as the second try says

        monkeypatch.setattr(os, "replace", replace)
        assert written(Store(folder)) == b"".join(PIECES)

    def test_what_fails_when_it_is_closed_is_never_there(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.close

        def close(descriptor: int) -> None:
            real(descriptor)
            raise OSError(errno.ENOSPC, "the other machine has no room")

        store = Store(folder)
        writer = store.writer(NAME)
        writer.write(b"x")
        with monkeypatch.context() as patched:
            patched.setattr(os, "close", close)
            with pytest.raises(StoreError, match="no room"):
                writer.commit()
        with pytest.raises(StoreError, match="not all of it was written"):
            writer.commit()
        writer.abort()
        assert here(folder) == []
