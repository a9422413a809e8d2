"""A run is founded once, where nothing else is; whatever else is there is told apart and kept."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from obstore.exceptions import PermissionDeniedError

from dask_knot.errors import (
    CorruptObjectError,
    MissingObjectError,
    ReadOnlyStoreError,
    RunFormatError,
    RunNameError,
    StoreError,
)
from dask_knot.run import note
from dask_knot.run.foundation import runs_in
from dask_knot.run.manifest import Manifest
from dask_knot.run.names import ManifestId, ShardId, StageId
from dask_knot.run.note import NoteKind
from dask_knot.run.presence import RunInfo
from dask_knot.run.run import Run
from dask_knot.run.store import Store

T = TypeVar("T")
INFO = RunInfo(1.0, "ada@host", "local", "1.0")
OTHER = RunInfo(2.0, "bob@host", "aws", "1.1")
SHARD = ShardId(StageId(0, 0), 0)
NEWER = b"".join(note.encode(NoteKind.RUN, {"what": "is new"}, version=2))


def contents(store: Store) -> dict[str, bytes]:
    """Read all that is in a store."""
    return {name: bytes(store.get(name)) for name in store.list("")}


class TestEveryStore:
    def test_the_first_session_founds_a_run_for_all(self, store: Store) -> None:
        first, second = Run(store, "a-run"), Run(store, "a-run")
        with pytest.raises(MissingObjectError):
            first.record.read_info()
        assert first.record.found(INFO) == INFO
        assert second.record.found(OTHER) == INFO
        assert second.record.read_info() == INFO
        assert store.list("") == ["a-run/run"]

    def test_a_probe_that_stayed_does_not_matter(self, store: Store) -> None:
        run = Run(store, "a-run")
        store.put(run.names.probe, [b"of a client that was killed"])
        store.put("a-run-2/data/x", [b"of another run"])
        assert run.record.found(INFO) == INFO

    @pytest.mark.parametrize(
        ("name", "data", "kind", "text"),
        [
            ("a-run/run", b"mine", RunNameError, "a-run/run is something else"),
            ("a-run/run", b"", RunNameError, "a-run/run is something else"),
            ("a-run/run", NEWER, RunFormatError, "another version of dask_knot .format 2;"),
            ("a-run/run", NEWER[:-1], CorruptObjectError, "a-run/run is damaged"),
            ("a-run/notes.txt", b"", RunNameError, "such as a-run/notes.txt: choose another"),
            ("a-run/2026/may/data.nc", b"", RunNameError, "such as a-run/2026: choose another"),
            ("a-run/data.zarr/0.0", b"", RunNameError, "such as a-run/data.zarr: choose"),
            (
                "a-run/manifests/x",
                b"",
                RunNameError,
                "a-run/manifests: it was made by an earlier version",
            ),
            ("a-run/log/0000000003", b"", RunNameError, "a-run/log: .*dask knot rm a-run"),
            ("a-run", b"mine", RunNameError, "an object with that name: choose another"),
        ],
    )
    def test_what_is_something_else_is_left_as_it_is(
        self, name: str, data: bytes, kind: type[StoreError], text: str, store: Store
    ) -> None:
        store.put(name, [data])
        before = contents(store)
        with pytest.raises(kind, match=text):
            Run(store, "a-run").record.found(INFO)
        assert contents(store) == before
        is_rest = name in ("a-run/manifests/x", "a-run/log/0000000003")
        assert Run(store, "a-run").record.is_left_over() == is_rest

    def test_a_run_that_was_deleted_can_be_founded_anew(self, store: Store) -> None:
        run = Run(store, "a-run")
        run.record.found(INFO)
        run.claim_session()
        run.write_manifest(ManifestId(SHARD, None), Manifest(True, 1, ()), [])
        run.delete_all()
        assert run.record.found(OTHER) == OTHER
        assert run.record.list_sessions() == []

    def test_the_runs_of_a_store_are_found(self, store: Store) -> None:
        assert runs_in(store) == []
        for name in ("b", "a", "a-run"):
            Run(store, name).record.found(INFO)
        store.put("newer/run", [NEWER])
        store.put("damaged/run", [NEWER[:-1]])
        store.put("unnamed/packs/0000000000-000", [b""])
        store.put("strange/run", [b"mine"])
        store.put("no name of ours/run", [NEWER])
        store.put("deep/a-run/run", [NEWER])
        store.put("run", [b"mine"])
        assert runs_in(store) == ["a", "a-run", "b", "damaged", "newer"]
        with ThreadPoolExecutor(4) as pool:
            assert runs_in(store, pool) == ["a", "a-run", "b", "damaged", "newer"]

    def test_a_level_has_folders_and_objects(self, store: Store) -> None:
        for name in ("a/b/c", "a/b/d", "a/e", "ab/f", "g"):
            store.put(name, [b""])
        assert store.list_level("") == (["a", "ab"], ["g"])
        assert store.list_level("a/") == (["a/b"], ["a/e"])
        assert store.list_level("nothing/") == ([], [])
        assert [store.is_empty(name) for name in ("a/", "a/b/", "", "b/")] == [False] * 3 + [True]
        assert [store.has(name) for name in ("a/e", "a/b", "a", "x")] == [True, False, False, False]


class LateStore(Store):
    """A store in which somebody founds the run between our look and our write."""

    def list_level(self, folder: str) -> tuple[list[str], list[str]]:
        """Look, and let another one found the run then."""
        found = super().list_level(folder)
        self.put("a-run/run", OTHER.encode())
        return [*found[0]], [*found[1]]


def test_a_session_that_was_faster_is_given_way_to() -> None:
    store = LateStore("memory://")
    run = Run(store, "a-run")
    assert run.record.found(INFO) == OTHER
    run.record.note_jobs(0, {})  # of the run that there is


def test_many_sessions_at_once_agree(tmp_path: Path) -> None:
    runs = [Run(Store(tmp_path / "store"), "a-run") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        infos = [RunInfo(float(n), f"user{n}@host", "local", "1.0") for n in range(8)]
        found = list(pool.map(lambda run, info: run.record.found(info), runs, infos))
    assert len(set(found)) == 1
    assert found[0] in infos


class SealedStore(Store):
    """A store that can be read, and refuses all else as `answer` says."""

    answer: Callable[[], Exception] = PermissionError

    def __init__(self, url: Path) -> None:
        super().__init__(url)
        ask = self._access.ask

        def refuse() -> object:
            raise self.answer()

        def answer(operation: str, name: str, call: Callable[[], T], **how: bool) -> object:
            return ask(operation, name, refuse if operation == "put" else call, **how)

        self._access.ask = answer  # type: ignore[method-assign, assignment]


REFUSED = [
    lambda: PermissionError("no"),
    lambda: OSError(30, "Read-only file system"),
    lambda: PermissionDeniedError("403 Forbidden"),
]


@pytest.mark.parametrize("answer", REFUSED)
def test_a_store_that_is_read_only_can_be_read(
    answer: Callable[[], Exception], tmp_path: Path
) -> None:
    url = tmp_path / "store"
    Run(Store(url), "a-run").record.found(INFO)
    store = SealedStore(url)
    store.answer = answer
    run = Run(store, "a-run")
    assert not run.is_writable()
    assert run.record.found(OTHER) == INFO
    assert run.record.read_info() == INFO
    with pytest.raises(ReadOnlyStoreError, match="failed to put b-run/run"):
        Run(store, "b-run").record.found(INFO)


def test_a_store_that_is_full_is_not_read_only(tmp_path: Path) -> None:
    store = SealedStore(tmp_path / "store")
    store.answer = lambda: OSError(28, "No space left on device")
    run = Run(store, "a-run")
    with pytest.raises(StoreError, match="isn't full") as caught:
        run.is_writable()
    assert type(caught.value) is StoreError


def test_a_store_that_can_be_written_is_one(tmp_path: Path) -> None:
    run = Run(Store(tmp_path / "store"), "a-run")
    assert run.is_writable()
    assert run.record.list_sessions() == []
