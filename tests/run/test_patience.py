"""A store that is full, read-only or away for a moment is asked again; one that stays so is not."""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.exceptions import GenericError, PermissionDeniedError

from dask_knot.errors import CorruptObjectError, MissingObjectError, StoreError
from dask_knot.run import objectfiles, unnamed
from dask_knot.run.mapping import MAPPED_BYTES
from dask_knot.run.patience import Patience
from dask_knot.run.store import Store
from tests.run.conftest import shared_store

WRITTEN = "run/data/7f/0000000001-000-00003.000a1"

CALLS: dict[str, Callable[[Store], object]] = {
    "put": lambda store: store.put("run/new", [b"x"]),
    "put_new": lambda store: store.put_new("run/newer", [b"x"]),
    "get": lambda store: bytes(store.get("run/there")),
    "get_range": lambda store: bytes(store.get_range("run/there", 1, 2)),
    "list": lambda store: store.list("run/"),
    "delete": lambda store: store.delete(["run/there"]),
}
OBSTORES = ("put", "get", "list")
#: What the system may say to whoever uses a folder: each of it may be over a moment later.
TROUBLES = ("ENOSPC", "EDQUOT", "EROFS", "EIO", "ESTALE", "EACCES", "EPERM", "EMFILE", "ENOTDIR")


def trouble(code: str) -> OSError:
    """Make an error of the system's."""
    number = getattr(errno, code)
    return OSError(number, os.strerror(number))


class Failing:
    """A call that fails a few times, with words of the system."""

    def __init__(
        self,
        real: Callable[..., Any],
        times: int,
        error: Exception,
        concerns: Callable[..., bool] = lambda *_, **__: True,
    ) -> None:
        self._real, self.left, self._error, self._concerns = real, times, error, concerns

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Fail, or do it."""
        if self.left and self._concerns(*arguments, **options):
            self.left -= 1
            raise self._error
        return self._real(*arguments, **options)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    found = Store(tmp_path / "store")
    found.put("run/there", [b"content"])
    found.be_patient(20)
    return found


def write(store: Store) -> bytes:
    """Write an object while it is made, and read it."""
    writer = store.writer(WRITTEN)
    try:
        for piece in (b"one ", b"after ", b"another"):
            writer.write(piece)
        writer.commit()
    finally:
        writer.abort()
    return bytes(store.at_once().get(WRITTEN))


@pytest.mark.parametrize("text", ["No space left on device", "Read-only file system"])
@pytest.mark.parametrize("call", ["put", "put_new", "get", "list"])
def test_trouble_of_obstore_that_passes_is_no_error(
    store: Store, call: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = None if call.startswith("put") else CALLS[call](Store(store.url))
    failing = [Failing(getattr(obstore, name), 2, GenericError(text)) for name in OBSTORES]
    for name, once in zip(OBSTORES, failing, strict=True):
        monkeypatch.setattr(obstore, name, once)
    found = CALLS[call](store)
    assert [once.left for once in failing].count(0) == 1
    if expected is not None:
        assert found == expected


@pytest.mark.parametrize("code", TROUBLES)
@pytest.mark.parametrize("is_mapped", [False, True], ids=["read", "mapped"])
def test_files_that_cannot_be_opened_for_a_moment_are_read(
    store: Store, is_mapped: bool, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(2 * MAPPED_BYTES if is_mapped else 100)
    store.put("run/large", [content])
    once = Failing(objectfiles.FileIO, 2, trouble(code))
    monkeypatch.setattr(objectfiles, "FileIO", once)
    assert store.get_range("run/large", 1, len(content) - 1) == content[1:]
    assert (once.left, store.requests["get"]) == (0, 3)


@pytest.mark.parametrize("code", TROUBLES)
@pytest.mark.parametrize("place", ["folder", "memory"])
def test_files_that_cannot_be_removed_for_a_moment_are_removed(
    tmp_path: Path, place: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = shared_store(tmp_path)
    write(store)
    store.be_patient(20)
    at = str(tmp_path / ("memory" if place == "memory" else "a folder"))
    once = Failing(os.unlink, 2, trouble(code), lambda path, **_: str(path).startswith(at))
    monkeypatch.setattr(os, "unlink", once)
    store.delete([WRITTEN])
    assert once.left == 0
    assert [path for path in tmp_path.rglob("*data*") if path.is_file()] == []
    assert not (tmp_path / "a folder/run").exists()


@pytest.mark.parametrize("code", TROUBLES)
@pytest.mark.parametrize("step", ["open", "write", "link"])
@pytest.mark.parametrize("place", ["folder", "memory"])
def test_files_that_cannot_be_written_for_a_moment_are_written(
    tmp_path: Path, place: str, step: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = shared_store(tmp_path, floor=2**62 if place == "folder" else 0)
    store.be_patient(20)
    # Not the files of others in this process, such as those of pytest.
    once = Failing(getattr(os, step), 2, trouble(code), lambda *_, **__: calling(unnamed))
    monkeypatch.setattr(os, step, once)
    assert write(store) == b"one after another"
    assert once.left < 2  # what makes no links is asked once
    store.delete([WRITTEN])
    assert [path.name for path in tmp_path.rglob("*") if "data" in path.name] == []


def calling(module: Any) -> bool:
    """Tell whether this thread is in a function of a module."""
    frame = sys._getframe()
    while frame is not None and frame.f_globals.get("__name__") != module.__name__:
        frame = frame.f_back
    return frame is not None


@pytest.mark.parametrize("call", CALLS)
def test_a_folder_that_is_away_for_a_moment_loses_nothing(store: Store, call: str) -> None:
    """A listing would be empty, objects missing, and a put would make the folder anew."""
    folder = Path(store.url.removeprefix("file://"))
    expected = CALLS[call](Store(store.url)) if call in ("get", "get_range", "list") else None
    away = folder.rename(folder.with_name("away"))
    with pytest.raises(StoreError, match="isn't there") as caught:
        CALLS[call](store.at_once())
    assert not isinstance(caught.value, MissingObjectError)
    back = threading.Timer(0.3, away.rename, [folder])
    back.start()
    found = CALLS[call](store)
    back.join()
    if expected is not None:
        assert found == expected


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("code", ["ESTALE", "EIO", "EACCES"])
def test_a_folder_that_cannot_be_looked_at_for_a_moment_loses_nothing(
    store: Store, call: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = CALLS[call](Store(store.url)) if call in ("get", "get_range", "list") else None
    folder = store.url.removeprefix("file://")
    once = Failing(os.stat, 3, trouble(code), lambda path, *_, **__: str(path) == folder)
    monkeypatch.setattr(os, "stat", once)
    with pytest.raises(StoreError, match="can't be reached"):
        CALLS[call](store.at_once())
    found = CALLS[call](store)
    assert once.left == 0
    if expected is not None:
        assert found == expected


def test_a_folder_that_cannot_be_looked_at_is_not_taken_for_one_that_is_gone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = store.url.removeprefix("file://")
    once = Failing(os.stat, 2, trouble("ESTALE"), lambda path, *_, **__: str(path) == folder)
    monkeypatch.setattr(os, "stat", once)
    store.delete_all("run/")
    assert store.list("run/") == []


def test_what_is_missing_or_cut_is_told_at_once(store: Store) -> None:
    with pytest.raises(MissingObjectError):
        store.get("run/none")
    for offset in (0, 5, 50):
        with pytest.raises(CorruptObjectError, match="cut off"):
            store.get_range("run/there", offset, 90)
    assert store.requests["get"] == 4


def test_a_refusal_of_s3_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store("memory://")
    store.be_patient(60)
    monkeypatch.setattr(obstore, "put", Failing(obstore.put, 9, PermissionDeniedError("no")))
    with pytest.raises(StoreError, match="Ask for the permission"):
        store.put("name", [b"x"])
    assert store.requests["put"] == 1


def test_a_store_that_stays_full_is_an_error_that_says_so(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.be_patient(0.2)
    full = Failing(obstore.put, 10**9, GenericError("No space left on device"))
    monkeypatch.setattr(obstore, "put", full)
    with pytest.raises(
        StoreError, match=r"put run/a: No space left on device.*isn't full"
    ) as found:
        store.put("run/a", [b"x"])
    assert isinstance(found.value.__cause__, GenericError)
    assert store.requests["put"] > 2
    # The trouble is old by now: what comes next doesn't wait as long again.
    before = store.requests["put"]
    with pytest.raises(StoreError):
        store.put("run/b", [b"x"])
    assert store.requests["put"] == before + 1
    assert bytes(store.get("run/there")) == b"content"


def test_who_closes_does_not_wait(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.be_patient(1000)
    begun = threading.Event()

    def fail(*_: object, **__: object) -> None:
        begun.set()
        raise GenericError("No space left on device")

    monkeypatch.setattr(obstore, "put", fail)
    ended: list[BaseException] = []

    def put() -> None:
        try:
            store.put("run/a", [b"x"])
        except StoreError as error:
            ended.append(error)

    thread = threading.Thread(target=put)
    thread.start()
    assert begun.wait(30)
    store.hurry()
    thread.join(30)
    assert len(ended) == 1


def test_trouble_of_long_ago_is_other_trouble() -> None:
    now = [0.0]
    patience = Patience(30.0, clock=lambda: now[0], wait=lambda s: now.__setitem__(0, now[0] + s))

    def fail() -> None:
        raise StoreError("away")

    for _ in range(2):
        begin = now[0]
        with pytest.raises(StoreError):
            patience.call("get", fail, lambda _: True)
        assert 30 <= now[0] - begin < 32
        now[0] += 100


def test_a_job_makes_no_folder_for_a_store_that_is_away(tmp_path: Path) -> None:
    url = Store(tmp_path / "store").url
    away = (tmp_path / "store").rename(tmp_path / "away")
    with pytest.raises(StoreError, match="isn't there"):
        Store.existing(url, 0.1)
    assert not (tmp_path / "store").exists()
    back = threading.Timer(0.3, away.rename, [tmp_path / "store"])
    back.start()
    assert Store.existing(url, 20).list("") == []
    back.join()


def test_an_emptied_store_can_be_closed_though_its_folder_is_gone(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    (tmp_path / "store").rmdir()
    store.delete_all("run/")


def test_threads_count_together(store: Store) -> None:
    count = 8
    barrier = threading.Barrier(count)

    def read() -> None:
        barrier.wait(30)
        for _ in range(200):
            store.get("run/there")

    threads = [threading.Thread(target=read) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    requests, moved = store.traffic()
    assert requests["get"] == count * 200
    assert moved["read"] == count * 200 * 7
