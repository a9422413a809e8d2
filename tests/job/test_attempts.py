"""What is committed stays committed: later attempts go on after it, racing ones change nothing."""

from __future__ import annotations

import operator
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from dask_knot.errors import StoreError
from dask_knot.run.codec import Bytes
from dask_knot.run.names import ShardId
from dask_knot.run.store import Store
from dask_knot.run.work import Options

from .runs import FIRST, Rehearsal, ref, shard, task

ID = ShardId(FIRST, 0)
IN_PARTS = Options(part_seconds=0)


class MortalStore(Store):
    """A store that is gone when the manifest of that name should be written."""

    last_words = ""

    def put_new(self, name: str, data: Iterable[Bytes]) -> bool:
        if name.endswith(self.last_words):
            raise StoreError("the machine is gone")
        return super().put_new(name, data)


def counted(number: int, file: Path) -> int:
    with file.open("a") as lines:
        lines.write(f"{number}\n")
    return number


def counted_sum(file: Path, *numbers: int) -> int:
    return counted(sum(numbers), file)


def fail_once(file: Path) -> int:
    counted(0, file)
    raise LookupError("the first time")


def runs(file: Path) -> list[int]:
    """Tell which tasks ran, in order."""
    return [int(line) for line in file.read_text().split()]


def end_first_attempt(run: Rehearsal, before: str) -> None:
    """Run the shard until its manifest `before` should be written."""
    store = MortalStore(run.store.url)
    store.last_words = before
    with pytest.raises(StoreError, match="gone"):
        run.start(ID, store=store)


def test_parts_are_committed_as_tasks_end(run: Rehearsal) -> None:
    content = shard([task(n, int, n) for n in range(3)], options=IN_PARTS)
    run.outcomes(content)
    assert [path.name for path in run.files("manifests/")] == [
        "00000.end",
        "00000.p000",
        "00000.p001",
        "00000.p002",
    ]
    for part in range(3):
        found = run.manifest(ID, part)
        assert not found.final
        assert [output.ordinal for output in found.outputs] == [part]
    final = run.manifest(ID)
    assert final.final
    assert [output.ordinal for output in final.outputs] == [0, 1, 2]
    assert [output.place for output in final.outputs] == [
        run.manifest(ID, part).outputs[0].place for part in range(3)
    ]


def test_parts_name_types_of_all_that_came_before(run: Rehearsal) -> None:
    content = shard([task("i", int, 1), task("f", float, 1), task("j", int, 2)], options=IN_PARTS)
    run.outcomes(content)
    final = run.manifest(ID)
    assert [final.types[output.type][1] for output in final.outputs] == ["int", "float", "int"]


def test_a_second_attempt_runs_only_what_is_missing(run: Rehearsal, tmp_path: Path) -> None:
    file = tmp_path / "runs"
    content = shard(
        [
            task("a", counted, 1, file),
            task("b", counted, 2, file),
            task("c", counted_sum, file, ref("a"), ref("b")),
            task("d", counted, 4, file),
        ],
        options=IN_PARTS,
    )
    run.write(content)
    end_first_attempt(run, "00000.p002")
    assert runs(file) == [1, 2, 3]
    run.start(ID, attempt=2)
    assert runs(file) == [1, 2, 3, 3, 4]
    assert run.read(content, ID) == {"a": 1, "b": 2, "c": 3, "d": 4}
    final = run.manifest(ID)
    assert final.attempt == 2
    assert {final.types[output.type][1] for output in final.outputs} == {"int"}


def test_what_did_not_leave_the_shard_runs_again_if_it_is_needed(
    run: Rehearsal, tmp_path: Path
) -> None:
    file = tmp_path / "runs"
    tasks = [
        task("a", counted, 1, file),
        task("b", counted_sum, file, ref("a"), 10),
        task("c", counted, 50, file),
        task("d", counted_sum, file, ref("c"), 50),
    ]
    content = shard(tasks, ["b", "d"], options=IN_PARTS)
    run.write(content)
    end_first_attempt(run, "00000.p001")
    run.start(ID, attempt=2)
    # a is not needed without b; c is, for d.
    assert runs(file) == [1, 11, 50, 100, 50, 100]
    assert run.read(content, ID) == {"b": 11, "d": 100}


def test_a_committed_error_is_not_tried_again(run: Rehearsal, tmp_path: Path) -> None:
    file = tmp_path / "runs"
    tasks = [
        task("bad", fail_once, file),
        task("other", counted, 7, file),
        task("after", operator.neg, ref("bad")),
    ]
    content = shard(tasks, options=IN_PARTS)
    run.write(content)
    end_first_attempt(run, "00000.p002")
    run.start(ID, attempt=2)
    assert runs(file) == [0, 7]
    found = run.read(content, ID)
    assert found.pop("other") == 7
    assert {str(failure.load()) for failure in found.values()} == {"the first time"}
    assert {failure.key for failure in found.values()} == {"bad"}
    assert found.keys() == {"bad", "after"}


def test_an_attempt_after_the_last_manifest_changes_nothing(run: Rehearsal, tmp_path: Path) -> None:
    file = tmp_path / "runs"
    run.outcomes(shard([task("a", counted, 1, file)]))
    before = {name: bytes(run.store.get(name)) for name in run.store.list(run.name)}
    run.start(ID, attempt=2)
    assert runs(file) == [1]
    assert {name: bytes(run.store.get(name)) for name in run.store.list(run.name)} == before


def test_other_shards_do_not_count(run: Rehearsal) -> None:
    works = [shard([task(n, int, n)], options=IN_PARTS) for n in range(2)]
    run.write(*works)
    run.start(ShardId(FIRST, 0))
    run.start(ShardId(FIRST, 1), attempt=2)
    assert run.read(works[1], ShardId(FIRST, 1)) == {1: 1}


@pytest.mark.parametrize("options", [Options(), IN_PARTS])
def test_of_two_racing_attempts_the_first_manifest_wins(run: Rehearsal, options: Options) -> None:
    content = shard([task("a", _who_am_i), task("b", int, 5)], options=options)
    run.write(content)
    _started.clear()
    _go_on.clear()
    slow = threading.Thread(target=run.start, args=(ID, 1), name="slow")
    slow.start()
    assert _started.wait(30)
    run.start(ID, attempt=2)
    before = {name: bytes(run.store.get(name)) for name in run.store.list(run.name)}
    _go_on.set()
    slow.join(30)
    assert not slow.is_alive()
    assert run.manifest(ID).attempt == 2
    assert run.read(content, ID) == {"a": "MainThread", "b": 5}
    assert {name: bytes(run.store.get(name)) for name in run.store.list("run/manifests/")} == {
        name: data for name, data in before.items() if "/manifests/" in name
    }


_started = threading.Event()
_go_on = threading.Event()


def _who_am_i() -> str:
    name = threading.current_thread().name
    if name == "slow":
        _started.set()
        assert _go_on.wait(30)
    return name
