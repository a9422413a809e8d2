"""A store that is full, read-only or away for a moment is asked again; one that stays so is not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import obstore
import pytest
from obstore.exceptions import GenericError, PermissionDeniedError

from dask_knot.errors import CorruptObjectError, MissingObjectError, StoreError
from dask_knot.run.patience import Patience
from dask_knot.run.store import Store

CALLS: dict[str, Callable[[Store], object]] = {
    "put": lambda store: store.put("run/new", [b"x"]),
    "put_new": lambda store: store.put_new("run/newer", [b"x"]),
    "get": lambda store: bytes(store.get("run/there")),
    "get_range": lambda store: bytes(store.get_range("run/there", 1, 2)),
    "list": lambda store: store.list("run/"),
    "delete": lambda store: store.delete(["run/there"]),
}
OBSTORES = ("put", "get", "get_range", "list", "delete")


class Failing:
    """A call of obstore that fails a few times, with words of the system."""

    def __init__(self, real: Callable[..., object], times: int, error: Exception) -> None:
        self._real, self.left, self._error = real, times, error

    def __call__(self, *arguments: object, **options: object) -> object:
        """Fail, or do it."""
        if self.left:
            self.left -= 1
            raise self._error
        return self._real(*arguments, **options)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    found = Store(tmp_path / "store")
    found.put("run/there", [b"content"])
    found.be_patient(20)
    return found


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("text", ["No space left on device", "Read-only file system"])
def test_trouble_that_passes_is_no_error(
    store: Store, call: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = CALLS[call](Store(store.url)) if not call.startswith(("put", "delete")) else None
    failing = [Failing(getattr(obstore, name), 2, GenericError(text)) for name in OBSTORES]
    for name, once in zip(OBSTORES, failing, strict=True):
        monkeypatch.setattr(obstore, name, once)
    found = CALLS[call](store)
    assert [once.left for once in failing].count(0) == 1
    if expected is not None:
        assert found == expected


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
