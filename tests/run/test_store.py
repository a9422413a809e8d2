"""One contract that every kind of store keeps; then what only some of them can get wrong."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import obstore
import obstore.exceptions
import pytest

from dask_knot.errors import ConfigurationError, MissingObjectError, StoreError
from dask_knot.run import sending, uplink
from dask_knot.run import store as store_module
from dask_knot.run.store import Store

FOREIGN_ERRORS = [
    kind
    for kind in (*vars(obstore.exceptions).values(), FileNotFoundError, PermissionError, ValueError)
    if isinstance(kind, type) and issubclass(kind, Exception)
]


class TestEveryStore:
    def test_gives_back_what_was_put_in_pieces(self, store: Store) -> None:
        store.put("run/data/a", [b"one ", bytearray(b"two "), memoryview(b"three"), b""])
        assert store.get("run/data/a") == b"one two three"

    def test_counts_what_it_moves(self, store: Store) -> None:
        store.put("a", [b"one ", b"two"])
        assert store.put_new("b", [b"three"])
        assert not store.put_new("b", [b"never written"])
        store.get("a")
        store.get_range("b", 1, 2)
        assert store.moved == {"written": 12, "read": 9}

    def test_takes_arrays_as_they_are(self, store: Store) -> None:
        numbers = memoryview(b"01234567").cast("Q")
        store.put("numbers", [numbers, numbers])
        assert store.get("numbers") == b"0123456701234567"

    def test_put_replaces(self, store: Store) -> None:
        store.put("name", [b"old and long"])
        store.put("name", [b"new"])
        assert store.get("name") == b"new"

    def test_holds_empty_objects(self, store: Store) -> None:
        store.put("empty", [])
        assert store.get("empty") == b""
        assert store.list("") == ["empty"]

    def test_holds_large_objects(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        # S3's own smallest part, so that this is an upload in several parts.
        for module in (store_module, sending, uplink):
            monkeypatch.setattr(module, "PART_BYTES", 5 * 2**20)
        monkeypatch.setattr(uplink, "PARTED_BYTES", 5 * 2**20)
        pieces = [bytes([number]) * 2**20 for number in range(12)]
        store.put("large", pieces)
        assert store.get_range("large", 2**20 - 1, 2) == b"\x00\x01"
        assert store.get("large") == b"".join(pieces)

    def test_the_second_put_new_loses(self, store: Store) -> None:
        assert store.put_new("name", [b"fir", b"st"])
        assert not store.put_new("name", [b"second"])
        assert store.get("name") == b"first"

    def test_one_of_many_put_new_wins(self, store: Store) -> None:
        writers = 8
        barrier = Barrier(writers)

        def write(number: int) -> bool:
            barrier.wait(30)
            return store.put_new("name", [str(number).encode() * 1000])

        with ThreadPoolExecutor(writers) as pool:
            won = list(pool.map(write, range(writers)))
        assert won.count(True) == 1
        assert store.get("name") == str(won.index(True)).encode() * 1000

    @pytest.mark.parametrize(("offset", "length"), [(0, 4), (3, 5), (9, 1), (0, 10), (7, 0)])
    def test_reads_ranges(self, store: Store, offset: int, length: int) -> None:
        store.put("digits", [b"0123456789"])
        assert store.get_range("digits", offset, length) == b"0123456789"[offset:][:length]

    @pytest.mark.parametrize("offset", [5, 10, 12])
    def test_a_range_behind_the_end_is_an_error(self, store: Store, offset: int) -> None:
        store.put("digits", [b"0123456789"])
        with pytest.raises(StoreError, match="digits"):
            store.get_range("digits", offset, 8)

    def test_lists_a_folder_in_order(self, store: Store) -> None:
        for name in ("run/b", "run/a/z", "run/a/y", "other/a", "run-2/a"):
            store.put(name, [b"x"])
        assert store.list("run/") == ["run/a/y", "run/a/z", "run/b"]
        assert store.list("nothing/") == []

    def test_tells_sizes(self, store: Store) -> None:
        store.put("run/b", [b"12", b"345"])
        store.put("run/a", [])
        assert list(store.sizes("run/").items()) == [("run/a", 0), ("run/b", 5)]

    def test_lists_what_comes_after_an_offset(self, store: Store) -> None:
        for number in (2, 10, 1, 3):
            store.put(f"run/{number:03}", [b"x"])
        assert store.list("run/", "run/001") == ["run/002", "run/003", "run/010"]
        assert store.list("run/", "run/0021") == ["run/003", "run/010"]
        assert store.list("run/", "run/010") == []

    def test_lists_more_than_one_page(self, store: Store) -> None:
        names = [f"run/{number:04}" for number in range(1005)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: store.put(name, [b"x"]), names))
        assert store.list("run/") == names
        assert store.list("run/", names[1001]) == names[1002:]
        store.delete(names)
        assert store.list("run/") == []

    def test_deletes_also_what_is_gone(self, store: Store) -> None:
        store.put("run/a", [b"x"])
        store.put("run/b", [b"x"])
        store.delete(["run/gone", "run/a", "elsewhere/gone"])
        assert store.list("run/") == ["run/b"]
        store.delete([])

    def test_deletes_a_folder_and_not_its_neighbors(self, store: Store) -> None:
        for name in ("run/a", "run/deep/b", "run-2/c"):
            store.put(name, [b"x"])
        store.delete_all("run/")
        store.delete_all("run/")
        assert store.list("") == ["run-2/c"]

    def test_a_missing_object_is_named(self, store: Store) -> None:
        with pytest.raises(MissingObjectError, match=r"run/none is not in the store .*deleted"):
            store.get("run/none")
        with pytest.raises(MissingObjectError, match="run/none"):
            store.get_range("run/none", 3, 4)

    def test_an_object_is_written_piece_by_piece(self, store: Store) -> None:
        scratch = bytearray(b"one ")
        writer = store.writer("run/data/a")
        writer.write(scratch)
        scratch[:] = b"two "
        writer.write(memoryview(scratch))
        writer.write(memoryview(b"01234567").cast("Q"))
        assert writer.size == 16
        assert store.list("") == []
        assert not store.requests["put"]
        writer.commit()
        writer.abort()
        assert store.get("run/data/a") == b"one two 01234567"
        assert store.requests["put"] == 1
        assert store.moved["written"] == 16

    def test_what_is_written_replaces_what_is_there(self, store: Store) -> None:
        store.put("a", [b"old and long"])
        store.writer("a").commit()
        assert store.get("a") == b""

    def test_what_is_aborted_was_never_there(self, store: Store) -> None:
        writer = store.writer("run/data/a")
        writer.write(b"x")
        writer.abort()
        writer.abort()
        store.writer("run/data/b").abort()
        assert store.list("") == []

    def test_counts_requests(self, store: Store) -> None:
        store.put("a", [b"1"])
        store.put_new("a", [b"2"])
        store.get("a")
        store.get_range("a", 0, 1)
        store.list("")
        store.delete(["a"])
        assert store.requests == {"put": 2, "get": 2, "list": 1, "delete": 1}

    @pytest.mark.parametrize("kind", FOREIGN_ERRORS, ids=lambda kind: kind.__name__)
    def test_translates_every_error(
        self, store: Store, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise kind("the cause\n\nDebug source: inner workings")

        for operation in ("put", "get", "get_range", "list"):
            monkeypatch.setattr(obstore, operation, fail)
        calls = [
            lambda: store.put("name", [b"x"]),
            lambda: store.get("name"),
            lambda: store.list("name"),
        ]
        if not store.url.startswith("file:"):  # which is read without obstore
            calls.append(lambda: store.get_range("name", 0, 1))
        is_missing = kind in (FileNotFoundError, obstore.exceptions.NotFoundError)
        cures = {"PermissionDeniedError": "Ask", "UnauthenticatedError": "Sign in"}
        cure = cures.get(kind.__name__, "Check")
        says = (
            "name is not in the store" if is_missing else rf"failed to \w+ name: the cause\. {cure}"
        )
        for call in calls:
            with pytest.raises(MissingObjectError if is_missing else StoreError, match=says) as e:
                call()
            assert isinstance(e.value.__cause__, kind)


def test_a_folder_may_be_a_path_or_a_url(tmp_path: Path) -> None:
    folder = tmp_path / "some folder"
    by_path, by_text, by_url = Store(folder), Store(str(folder)), Store(folder.as_uri() + "/")
    by_path.put("name", [b"x"])
    assert by_text.get("name") == by_url.get("name") == b"x"
    assert by_path.url == by_text.url == by_url.url == folder.as_uri()
    assert repr(by_path) == f"<Store {folder.as_uri()}>"


def test_a_relative_folder_is_found_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Store("here").url == (tmp_path / "here").as_uri()


def test_an_emptied_folder_has_no_empty_folders(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.put("run/data/3f/a", [b"x"])
    store.put("keep/b", [b"x"])
    store.delete_all("run/")
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["keep"]


def test_another_process_finds_what_s3_holds(s3_url: str) -> None:
    Store(s3_url).put("name", [b"x"])
    assert Store(f"{s3_url}/").get("name") == b"x"


def test_a_bucket_that_is_missing_is_an_error(s3_url: str) -> None:
    store = Store("s3://no-such-bucket/prefix")
    with pytest.raises(StoreError, match="no-such-bucket"):
        store.put("run/probe", [b"x"])


def test_memory_is_not_shared() -> None:
    first, second = Store("memory://"), Store("memory://")
    first.put("name", [b"x"])
    assert second.list("") == []


@pytest.mark.parametrize("url", ["gs://bucket/prefix", "http://example.com", "folder://x"])
def test_an_unknown_scheme_is_answered_with_the_valid_ones(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"file://, s3://, memory://") as caught:
        Store(url)
    assert url in str(caught.value)


def test_only_the_last_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"there is no folder {tmp_path}/disk: make it"):
        Store(tmp_path / "disk" / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    Store(tmp_path / "disk")
    Store(tmp_path / "a" / "b", parents=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "disk"]


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be opened"):
        Store(tmp_path / "file" / "store")


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    (tmp_path / "store" / "run").write_text("a file stands where a folder should be")
    with pytest.raises(StoreError, match=r"failed to put run/probe.*may write there"):
        store.put("run/probe", [b"x"])


def test_a_url_without_bucket_is_an_error() -> None:
    with pytest.raises(StoreError, match="can't be opened") as caught:
        Store("s3://")
    assert "Debug source" not in str(caught.value)
