"""What is done is committed while other tasks of the shard still run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dask_knot.errors import StoreError
from dask_knot.job.parts import Rhythm
from dask_knot.run.codec import Bytes
from dask_knot.run.names import ShardId
from dask_knot.run.store import Store
from dask_knot.run.work import Options

from .runs import FIRST, Rehearsal, ref, shard, task

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
    part = tmp_path / "store" / "run" / "manifests" / FIRST.stored / "00000.p000"
    content = shard([task("quick", int, 7), task("long", wait_for, part)], options=SOON)
    on_disk = Rehearsal(Store(tmp_path / "store"))
    assert on_disk.outcomes(content) == {"quick": 7, "long": "00000.p000"}
    assert [output.ordinal for output in on_disk.manifest(ID, 0).outputs] == [0]


@pytest.mark.parametrize("is_near", [True, False])
def test_a_task_may_change_what_it_reads(run: Rehearsal, is_near: bool) -> None:
    def change(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        value += 1
        return value

    run.store.is_near = is_near
    tasks = [task("array", np.zeros, 2**15), task("changed", change, ref("array"))]
    found = run.outcomes(shard(tasks))
    assert found["array"].flags.writeable
    assert found["array"].tolist() == [0.0] * 2**15
    assert found["changed"].tolist() == [1.0] * 2**15


_over = threading.Event()


def restless(size: int) -> np.ndarray[Any, Any]:
    """Give an array that a thread changes for as long as it isn't over."""
    array = np.zeros(size)

    def go_on() -> None:
        while not _over.is_set():
            array.__iadd__(1)

    threading.Thread(target=go_on).start()
    return array


@pytest.mark.parametrize("is_near", [True, False])
@pytest.mark.parametrize("size", [2_000, 2**20], ids=["small", "large"])
def test_a_thread_that_goes_on_damages_nothing(run: Rehearsal, is_near: bool, size: int) -> None:
    _over.clear()
    run.store.is_near = is_near
    try:
        found = run.outcomes(shard([task(n, restless, size) for n in range(2)]))
    finally:
        _over.set()
    assert [found[n].shape for n in range(2)] == [(size,)] * 2  # its checksum is right


class DeafStore(Store):
    """A store that takes no parts, and says so in a file."""

    said = Path()

    def put_new(self, name: str, data: Iterable[Bytes]) -> bool:
        self.said.touch()
        raise StoreError("not now")


def test_a_part_that_fails_beside_a_task_fails_the_shard(tmp_path: Path) -> None:
    said = tmp_path / "said"
    on_disk = Rehearsal(Store(tmp_path / "store"))
    on_disk.write(shard([task("quick", int, 7), task("long", wait_for, said)], options=SOON))
    store = DeafStore(tmp_path / "store")
    store.said = said
    with pytest.raises(StoreError, match="not now"):
        on_disk.start(ID, store=store)
    assert on_disk.files("manifests/") == []


@pytest.mark.parametrize(
    ("rhythm", "pauses"),
    [
        (Rhythm(5.0), {0: 5, 1000: 5}),
        (Rhythm(5.0, 0.5), {0: 0.5, 49: 0.5, 100: 1, 300: 3, 500: 5, 9000: 5}),
        (Rhythm(0.1, 0.5), {0: 0.1, 1000: 0.1}),
    ],
)
def test_a_young_shard_tells_more_often(rhythm: Rhythm, pauses: dict[float, float]) -> None:
    assert {age: rhythm.pause(age) for age in pauses} == pauses


@pytest.mark.parametrize(("news", "parts"), [(0.1, ["00000.p000"]), (None, [])])
def test_that_tasks_ran_is_told_though_nothing_leaves_the_shard(
    tmp_path: Path, news: float | None, parts: list[str]
) -> None:
    """Values that only this shard reads: with nothing to commit, only a shard with news tells."""
    seen = tmp_path / "store" / "run" / "manifests" / FIRST.stored

    def look(_: int) -> list[str]:
        deadline = time.monotonic() + (30 if news else 0.3)
        while time.monotonic() < deadline and not list(seen.glob("*")):
            time.sleep(0.01)
        return sorted(path.name for path in seen.glob("*"))

    options = Options(part_seconds=5 if news else 0.1, news_seconds=news)
    content = shard(
        [task("inner", int, 7), task("last", look, ref("inner"))], ["last"], options=options
    )
    on_disk = Rehearsal(Store(tmp_path / "store"))
    assert on_disk.outcomes(content) == {"last": parts}
    if news:
        told = on_disk.manifest(ID, 0)
        assert (told.outputs, {name: one.tasks for name, one in told.work.items()}) == (
            [],
            {"inner": 1},
        )
