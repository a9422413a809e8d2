"""Values go from memory to the disk by size and age, and what happens meanwhile loses none."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dask_knot.errors import MissingObjectError
from dask_knot.local.spill import ABANDONED, INTERVAL, REST, Spill
from dask_knot.run.mapping import MAPPED_BYTES
from dask_knot.run.objectfiles import ObjectFiles
from dask_knot.run.sharedmemory import SharedMemory
from dask_knot.run.store import Store
from dask_knot.run.unnamed import UnnamedFile

pytestmark = pytest.mark.skipif(not hasattr(os, "sendfile"), reason="only Linux has such memory")
NOW = 1e9
SHARE = 1000


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    folder = tmp_path / "memory"
    folder.mkdir()
    return folder


@pytest.fixture
def store(tmp_path: Path, memory: Path) -> Store:
    (tmp_path / "store").mkdir()
    SharedMemory(str(memory), 0, 0).note(tmp_path / "store")
    return Store(tmp_path / "store")


def files_of(store: Store) -> ObjectFiles:
    assert store._files is not None
    return store._files


def spill_of(store: Store, memory: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> Spill:
    """Make one for a memory that holds so many bytes."""

    def lack(_: SharedMemory, size: int = 0) -> int:
        there = sum(path.stat().st_size for path in memory.iterdir())
        return there + size - limit

    files = files_of(store)
    assert files.memory is not None
    monkeypatch.setattr(SharedMemory, "lack", lack)
    return Spill(files, files.memory, SHARE)


def write(store: Store, memory: Path, name: str, size: int, age: float) -> None:
    writer = store.writer(name)
    writer.write(bytes([size % 256]) * size)
    writer.commit()
    target = os.readlink(f"{files_of(store).folder}/{name}")
    os.utime(target, (NOW - age, NOW - age))


def in_memory(store: Store, memory: Path) -> list[str]:
    return sorted(name for name, _ in SharedMemory(str(memory), 0, 0).objects())


def test_the_oldest_and_largest_go_first(
    store: Store, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, size, age in (("old", 100, 50), ("large", 500, 20), ("new", 300, 1), ("s", 60, 10)):
        write(store, memory, f"run/{name}", size, age)
    spill = spill_of(store, memory, monkeypatch, SHARE)
    assert spill.relieve(NOW) == 500  # 960 of 1000 are taken: 300 are to be free
    assert in_memory(store, memory) == ["run/new", "run/old", "run/s"]
    assert spill.relieve(NOW) == 0
    assert [store.get(f"run/{n}").nbytes for n in ("old", "large", "new", "s")] == [
        *(100, 500, 300, 60)
    ]
    assert store.list("run/") == ["run/large", "run/new", "run/old", "run/s"]


def test_nothing_goes_while_there_is_room(
    store: Store, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, memory, "run/a", 800, 1)
    assert spill_of(store, memory, monkeypatch, SHARE).relieve(NOW) == 0
    assert in_memory(store, memory) == ["run/a"]


def test_what_is_being_written_stays(
    store: Store, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (memory / "run+a#123").write_bytes(b"x" * 990)  # without a link yet
    assert spill_of(store, memory, monkeypatch, SHARE).relieve(NOW) == 0
    assert (memory / "run+a#123").exists()


def test_who_has_it_mapped_sees_no_difference(
    store: Store, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 2 * MAPPED_BYTES
    write(store, memory, "run/a", size, 1)
    before = store.get_range("run/a", 0, size)
    assert spill_of(store, memory, monkeypatch, SHARE).relieve(NOW) == size
    assert before == store.get_range("run/a", 0, size)
    assert not (files_of(store).folder / "run/a").is_symlink()


@pytest.mark.parametrize("moment", ["while it is copied", "before it has its name", "after that"])
def test_what_is_deleted_meanwhile_is_not_there_again(
    moment: str, store: Store, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, memory, "run/a", 990, 1)
    spill = spill_of(store, memory, monkeypatch, SHARE)

    def delete_at(kind: type, name: str, is_after: bool) -> None:
        real: Callable[..., object] = getattr(kind, name)

        def call(*given: object) -> object:
            if not is_after:
                store.delete(["run/a"])
            found = real(*given)
            if is_after:
                store.delete(["run/a"])
            return found

        monkeypatch.setattr(kind, name, call)

    if moment == "while it is copied":
        delete_at(UnnamedFile, "sync", is_after=False)
    else:
        delete_at(UnnamedFile, "name", is_after=moment == "after that")
    spill.relieve(NOW)
    with pytest.raises(MissingObjectError):
        store.get("run/a")
    assert list(memory.iterdir()) == []
    assert [p for p in files_of(store).folder.rglob("*") if "shared-memory" not in p.name] == []


def test_what_is_moved_between_two_steps_of_its_deletion_is_deleted(
    store: Store, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, memory, "run/a", 990, 1)
    spill = spill_of(store, memory, monkeypatch, SHARE)
    real = os.unlink

    def unlink(path: str) -> None:
        monkeypatch.setattr(os, "unlink", real)
        spill.relieve(NOW)  # the link is known already, and about to be removed
        real(path)

    monkeypatch.setattr(os, "unlink", unlink)
    store.delete(["run/a"])
    assert list(memory.iterdir()) == []
    assert store.list("") == []


def test_a_reader_that_comes_in_the_midst_looks_again(
    store: Store, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, memory, "run/a", 990, 1)
    target = os.readlink(f"{files_of(store).folder}/run/a")
    os.rename(target, f"{target}0")  # as if it had been moved after the link was read
    real = os.path.islink

    def islink(path: str) -> bool:
        found = real(path)
        os.replace(f"{target}0", path)
        monkeypatch.setattr(os.path, "islink", real)
        return found

    monkeypatch.setattr(os.path, "islink", islink)
    assert store.get_range("run/a", 0, 990).nbytes == 990


def test_a_disk_that_is_full_loses_nothing(
    store: Store, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sendfile(*_: object) -> int:
        raise OSError(28, "no space left")

    write(store, memory, "run/a", 990, 1)
    spill = spill_of(store, memory, monkeypatch, SHARE)
    with monkeypatch.context() as patched:
        patched.setattr(os, "sendfile", sendfile)
        with pytest.raises(OSError, match="no space"):
            spill.relieve(NOW)
    assert store.get("run/a").nbytes == 990
    assert spill.relieve(NOW) == 990


def test_the_thread_ends_and_interrupts_what_it_moves(
    store: Store, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, memory, "run/a", 990, 1)
    spill = spill_of(store, memory, monkeypatch, SHARE)
    spill.start()
    spill.close()
    spill.close()
    assert spill.relieve(NOW) == 0  # it is over
    assert in_memory(store, memory) == ["run/a"]


@pytest.mark.parametrize(("age", "is_left"), [(5, True), (ABANDONED + 1, False)])
def test_what_a_killed_writer_has_left_goes_when_it_is_old(
    store: Store, memory: Path, monkeypatch: pytest.MonkeyPatch, age: float, is_left: bool
) -> None:
    write(store, memory, "run/lost", 990, age)
    os.unlink(f"{files_of(store).folder}/run/lost")  # it was killed before it made the link
    assert spill_of(store, memory, monkeypatch, SHARE).relieve(NOW) == (0 if is_left else 990)
    assert in_memory(store, memory) == (["run/lost"] if is_left else [])
    assert store.list("run/") == []


def test_a_disk_that_takes_nothing_is_told_of_once(
    store: Store, memory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> bool:
        raise OSError(errno.ENOSPC, "the disk is full")

    write(store, memory, "run/a", 980, 5)
    spill = spill_of(store, memory, monkeypatch, SHARE)
    for _ in range(2):  # it is told of again when it has taken something meanwhile
        with monkeypatch.context() as patched:
            patched.setattr(ObjectFiles, "move", refuse)
            assert [spill.look(NOW), spill.look(NOW)] == [REST, REST]
        assert spill.look(NOW) == INTERVAL
        with monkeypatch.context() as patched:
            patched.setattr(SharedMemory, "lack", lambda *_: 0)
            write(store, memory, "run/b", 990, 5)
    assert caplog.text.count("the disk is full") == 2
