"""What is done is committed while other tasks of the shard still run."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from dask_knot.errors import StoreError
from dask_knot.running.work import Options
from dask_knot.store.codec import Bytes
from dask_knot.store.names import ShardId
from dask_knot.store.store import Store

from .runs import FIRST, Run, shard, task

ID = ShardId(FIRST, 0)
SOON = Options(part_seconds=0.1)


def wait_for(path: Path) -> str:
    """Wait until a file is there; a task that would wait for ever is a test that fails."""
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.01)
    return path.name


def test_what_is_done_does_not_wait_for_a_long_task(tmp_path: Path) -> None:
    part = tmp_path / "store" / "run" / "manifests" / str(FIRST) / "00000.p000"
    content = shard([task("quick", int, 7), task("long", wait_for, part)], options=SOON)
    on_disk = Run(Store(tmp_path / "store"))
    assert on_disk.outcomes(content) == {"quick": 7, "long": "00000.p000"}
    assert [output.ordinal for output in on_disk.manifest(ID, 0).outputs] == [0]


class DeafStore(Store):
    """A store that takes no parts, and says so in a file."""

    said = Path()

    def put_new(self, name: str, data: Iterable[Bytes]) -> bool:
        self.said.touch()
        raise StoreError("not now")


def test_a_part_that_fails_beside_a_task_fails_the_shard(tmp_path: Path) -> None:
    said = tmp_path / "said"
    on_disk = Run(Store(tmp_path / "store"))
    on_disk.write(shard([task("quick", int, 7), task("long", wait_for, said)], options=SOON))
    store = DeafStore(tmp_path / "store")
    store.said = said
    with pytest.raises(StoreError, match="not now"):
        on_disk.start(ID, store=store)
    assert on_disk.files("manifests/") == []
