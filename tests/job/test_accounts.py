"""Every output of a shard has an outcome when it ends, whatever went wrong in the program."""

from __future__ import annotations

import operator
import platform
from collections.abc import Iterable
from pathlib import Path

import pytest

from dask_knot.errors import CorruptObjectError, InternalError, MissingObjectError, StoreError
from dask_knot.run.codec import Bytes
from dask_knot.run.failure import Failure
from dask_knot.run.machine import LOCAL
from dask_knot.run.names import ShardId, StageId
from dask_knot.run.store import Store
from dask_knot.run.work import Options, ShardOutput

from .runs import FIRST, SECOND, Rehearsal, made, ref, shard, task
from .test_attempts import counted, runs

ID = ShardId(FIRST, 0)
IN_PARTS = Options(part_seconds=0)


def test_an_output_that_no_task_makes_is_an_error_of_ours(run: Rehearsal) -> None:
    content = shard([task("a", int, 1)], outputs=["a", "nobody makes this"])
    found = run.outcomes(content)
    assert found.pop("a") == 1
    error = found["nobody makes this"].load()
    assert isinstance(error, InternalError)
    assert "'nobody makes this'" in str(error)
    reader = shard([task("reads", str, ref("nobody makes this"))], inputs=made(content, ID))
    assert isinstance(run.outcomes(reader, SECOND)["reads"].load(), InternalError)


def test_an_output_that_a_manifest_lacks_is_lost_for_its_readers_only(run: Rehearsal) -> None:
    content = shard([task("a", int, 1)])
    run.outcomes(content)
    inputs = {"a": ShardOutput(ID, 0), "b": ShardOutput(ID, 5)}
    tasks = [task(f"{key} read", operator.neg, ref(key)) for key in inputs]
    found = run.outcomes(shard(tasks, inputs=inputs), SECOND)
    assert found.pop("a read") == -1
    assert isinstance(found["b read"].load(), MissingObjectError)


class DeafStore(Store):
    """A store whose answer to a conditional write got lost, so that it was asked once more."""

    def put_new(self, name: str, data: Iterable[Bytes]) -> bool:
        whole = b"".join(data)
        return super().put_new(name, [whole]) and super().put_new(name, [whole])


@pytest.mark.parametrize("options", [Options(), IN_PARTS])
def test_a_manifest_that_the_store_took_already_supersedes_nobody(
    run: Rehearsal, options: Options
) -> None:
    content = shard([task(n, int, n) for n in range(3)], options=options)
    run.write(content)
    run.start(ID, store=DeafStore(run.store.url))
    assert run.read(content, ID) == {0: 0, 1: 1, 2: 2}


def break_after(run: Rehearsal, parts: int) -> None:
    """Let a first attempt end after some parts, as when its machine is lost."""
    name = run.names.manifest(ID, parts)

    class Mortal(Store):
        def put_new(self, wanted: str, data: Iterable[Bytes]) -> bool:
            if wanted == name:
                raise StoreError("the machine is gone")
            return super().put_new(wanted, data)

    with pytest.raises(StoreError, match="gone"):
        run.start(ID, store=Mortal(run.store.url))


@pytest.mark.parametrize("how", ["deleted", "cut", "of nobody"])
def test_a_second_attempt_runs_what_a_part_lost(run: Rehearsal, tmp_path: Path, how: str) -> None:
    file = tmp_path / "runs"
    content = shard([task(n, counted, n, file) for n in range(4)], options=IN_PARTS)
    run.write(content)
    break_after(run, 3)
    first = run.names.manifest(ID, 0)
    if how == "deleted":
        run.store.delete([first])
    elif how == "cut":
        run.store.put(first, [run.store.get(first)[:20]])
    else:
        run.store.put(f"{run.names.of_stage(FIRST)}.notes", [b"mine"])
    run.start(ID, attempt=2)
    assert runs(file) == [0, 1, 2, 3, *([3] if how == "of nobody" else [0, 3])]
    assert run.read(content, ID) == {n: n for n in range(4)}


def test_every_manifest_says_how_much_memory_its_job_had_so_far(run: Rehearsal) -> None:
    content = shard([task("a", int, 1), task("b", operator.neg, ref("a"))], options=IN_PARTS)
    run.outcomes(content)
    manifests = [run.manifest(ID, 0), run.manifest(ID)]
    assert all(2**20 < manifest.peak < 2**50 for manifest in manifests)
    assert {(m.machine.host, m.machine.lifecycle) for m in manifests} == {(platform.node(), LOCAL)}
    (started,) = {manifest.started for manifest in manifests}
    assert 0 < started <= manifests[0].outputs[0].start


def test_what_an_output_lacked_is_named_in_the_manifest(run: Rehearsal) -> None:
    source = shard([task("a", bytes, 200_000), task("b", int, 2)])
    run.outcomes(source)
    (lost,) = (str(path) for path in run.files("data/"))
    run.store.delete([lost])
    reads = [task("reads a", len, ref("a")), task("reads b", operator.neg, ref("b"))]
    after = task("after", operator.neg, ref("reads a"))
    content = shard([*reads, after], inputs=made(source, ID))
    found = run.outcomes(content, SECOND)
    assert found.pop("reads b") == -2
    assert {type(failure.load()) for failure in found.values()} == {MissingObjectError}
    assert dict(run.manifest(ShardId(SECOND, 0)).lost) == {0: (lost,), 2: (lost,)}


def test_what_a_shard_lacked_is_told_to_those_behind_it(run: Rehearsal) -> None:
    source = shard([task("a", bytes, 200_000)])
    run.outcomes(source)
    name = run.manifest(ID).outputs[0].place.name
    run.store.put(name, [b"\0" * 200_500])
    content = shard([task("reads", len, ref("a"))], inputs=made(source, ID))
    run.outcomes(content, SECOND)
    third = StageId(0, 2)
    behind = shard([task("last", abs, ref("reads"))], inputs=made(content, ShardId(SECOND, 0)))
    failure = run.outcomes(behind, third)["last"]
    assert isinstance(failure, Failure)
    assert isinstance(failure.load(), CorruptObjectError)
    assert dict(run.manifest(ShardId(third, 0)).lost) == {0: (name,)}
