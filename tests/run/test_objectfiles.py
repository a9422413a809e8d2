"""Files of objects are read, or mapped where they are large; bad ones are errors, not signals."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import obstore
import pytest

from dask_knot.errors import CorruptObjectError, MissingObjectError, StoreError
from dask_knot.run import mapping, objectfiles
from dask_knot.run.mapping import MAPPED_BYTES, PrivateMappings, file_system_of
from dask_knot.run.objectfiles import ObjectFiles
from dask_knot.run.store import Store

LARGE = 2 * MAPPED_BYTES
CONTENT = bytes(range(256)) * (LARGE // 256)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectFiles:
    """Make a folder that counts as one of this machine, wherever it is, with a large object."""
    monkeypatch.setattr(objectfiles, "MAPPABLE", {file_system_of(tmp_path)})
    (tmp_path / "run").mkdir()
    (tmp_path / "run/large").write_bytes(CONTENT)
    return ObjectFiles(tmp_path)


@pytest.mark.parametrize("offset", [0, 1, 64, 4096, 4097, MAPPED_BYTES])
@pytest.mark.parametrize("length", [1, 4096, MAPPED_BYTES - 1, MAPPED_BYTES])
def test_gives_what_stands_there(files: ObjectFiles, offset: int, length: int) -> None:
    found = files.read_range("run/large", offset, length)
    assert found == CONTENT[offset : offset + length]
    assert found is not None
    assert not found.readonly
    assert bool(files.mappings.nbytes) == (length >= MAPPED_BYTES)


def test_nobody_sees_the_changes_of_others(files: ObjectFiles, tmp_path: Path) -> None:
    mine, yours = (files.read_range("run/large", 64, MAPPED_BYTES) for _ in range(2))
    assert mine is not None
    mine[:] = bytes(MAPPED_BYTES)
    assert yours == CONTENT[64 : 64 + MAPPED_BYTES]
    assert (tmp_path / "run/large").read_bytes() == CONTENT


def test_what_is_mapped_outlives_its_file(files: ObjectFiles, tmp_path: Path) -> None:
    found = files.read_range("run/large", 0, LARGE)
    (tmp_path / "run/large").unlink()
    assert found == CONTENT


def test_a_mapping_goes_when_nothing_looks_at_it(files: ObjectFiles) -> None:
    found = files.read_range("run/large", 0, LARGE)
    assert found is not None
    part = found[100:200]
    del found
    assert files.mappings.nbytes == LARGE
    assert part == CONTENT[100:200]
    del part
    gc.collect()
    assert files.mappings.nbytes == 0


def test_mappings_keep_no_file_open(files: ObjectFiles) -> None:
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("this system doesn't tell which files are open")
    before = len(os.listdir("/proc/self/fd"))
    kept = [files.read_range("run/large", 0, LARGE) for _ in range(50)]
    assert len(os.listdir("/proc/self/fd")) == before
    assert len(kept) == 50


@pytest.mark.parametrize("size", [0, 10, LARGE - 1])
def test_a_file_that_was_cut_off_is_damaged(tmp_path: Path, size: int) -> None:
    store = Store(tmp_path)
    store.put("run/large", [CONTENT])
    os.truncate(tmp_path / "run/large", size)
    with pytest.raises(CorruptObjectError, match="shorter than"):
        store.get_range("run/large", 0, LARGE)


def test_what_is_cut_off_while_it_is_read_is_damaged(
    files: ObjectFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = os.stat(tmp_path / "run/large")
    os.truncate(tmp_path / "run/large", LARGE // 2)
    monkeypatch.setattr(os, "fstat", lambda _: found)  # as it was a moment ago
    monkeypatch.setattr(objectfiles, "MAPPED_BYTES", 2 * LARGE)
    assert files.read_range("run/large", 0, LARGE) is None


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p", ""])
def test_what_is_on_a_network_is_read(files: ObjectFiles, kind: str) -> None:
    mapped = {"/": kind}
    assert file_system_of("/some/where", lambda: [*mapped.items()]) not in mapping.MAPPABLE
    files._is_mappable[os.stat(files.folder).st_dev] = False
    assert files.read_range("run/large", 0, LARGE) == CONTENT
    assert files.mappings.nbytes == 0


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me/store", "nfs"),
        ("/home/you", "ext4"),
        ("/home/melissa", "ext4"),
        ("/dev/shm/x", "tmpfs"),
        ("/over/x", "overlay"),
    ],
)
def test_file_systems_by_the_nearest_mount(path: str, kind: str) -> None:
    mounts = [("/", "ext4"), ("/home/me", "nfs"), ("/dev/shm", "tmpfs")]
    mounts += [("/over", "ext4"), ("/over", "overlay")]
    assert file_system_of(path, lambda: mounts) == kind


def test_without_a_list_of_mounts_nothing_is_known() -> None:
    def fail() -> list[tuple[str, str]]:
        raise PermissionError("/proc isn't there")

    assert file_system_of("/", fail) == ""


@pytest.mark.parametrize("limit", ["the system's", "ours"])
def test_where_no_more_is_mapped_it_is_read(
    files: ObjectFiles, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if limit == "ours":
        files.mappings = PrivateMappings(most=0)
    else:
        refused: Callable[..., None] = lambda *_: None  # noqa: E731
        monkeypatch.setattr(files.mappings._system, "map", refused)
    assert files.read_range("run/large", 0, LARGE) == CONTENT
    assert files.mappings.nbytes == 0


def test_several_stores_of_a_process_have_one_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    with path.open("rb") as file:
        held = PrivateMappings().map(file.fileno(), 0, LARGE)
        other = PrivateMappings(most=len(mapping._addresses))
        assert other.map(file.fileno(), 0, LARGE) is None
        del held
        assert other.map(file.fileno(), 0, LARGE) == CONTENT


@pytest.mark.parametrize(
    ("allowed", "most"),
    [("65530", 20_000), ("3000", 1000), ("2147483642", 20_000), ("?", 20_000), (None, 20_000)],
)
def test_few_mappings_where_the_system_allows_few(
    tmp_path: Path, allowed: str | None, most: int
) -> None:
    if allowed is not None:
        (tmp_path / "allowed").write_text(allowed)
    assert mapping.most_mappings(tmp_path / "allowed") == most


def test_the_system_may_refuse(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:  # which nobody may read by this number
        assert PrivateMappings().map(file.fileno(), 0, LARGE) is None


def test_what_lies_elsewhere_is_no_object(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(CONTENT)
    store = Store(tmp_path / "store")
    for name in ("../secret", "run/../../secret", f"{tmp_path}/secret"):
        with pytest.raises(StoreError, match="not an object name"):
            store.get_range(name, 0, 4)


def test_what_is_no_file_is_an_error(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("run/data/a", [b"x"])
    with pytest.raises(StoreError, match="run/data"):
        store.get_range("run/data", 0, 4)
    with pytest.raises(MissingObjectError):
        store.get_range("run/data/b", 0, 4)


def test_an_object_that_is_deleted_as_soon_as_it_is_seen_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing may be replaced, obstore gives its file a second name, and takes the first."""
    real = obstore.put
    folder = tmp_path / "run/manifests"

    def put(store: Any, name: str, data: bytes, **options: Any) -> Any:
        found = real(store, name, data, **options)
        (folder / "00000.end#1").touch()  # as it is a moment before
        Store(tmp_path).delete([name])
        (folder / "00000.end#1").unlink()
        return found

    monkeypatch.setattr(obstore, "put", put)
    assert Store(tmp_path).put_new("run/manifests/00000.end", [b"x"])
    assert not (tmp_path / "run").exists()
