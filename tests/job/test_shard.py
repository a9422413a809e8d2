"""A shard's tasks run once each, and every one of its outputs gets an outcome."""

from __future__ import annotations

import asyncio
import operator
import os
import sys
import threading
from functools import partial
from typing import Any, NoReturn

import numpy as np
import pytest
from dask._task_spec import Alias, DataNode

from dask_knot.errors import KilledTaskError, MissingObjectError, PicklingError
from dask_knot.job.console import Printout
from dask_knot.job.shard import run_shard
from dask_knot.run.failure import Failure
from dask_knot.run.manifest import Kind
from dask_knot.run.names import ShardId
from dask_knot.run.work import Options

from .runs import FIRST, SECOND, Rehearsal, made, ref, shard, task

ID = ShardId(FIRST, 0)
WAYS = {
    "one by one": Options(),
    "threads": Options(cores=4),
    "processes": Options(cores=2, processes=True),
    "in parts": Options(part_seconds=0),
}


def divide(x: float, y: float) -> float:
    return x / y


def shout(text: str) -> NoReturn:
    sys.stdout.write(f"out: {text}\n")
    sys.stderr.write(f"err: {text}\n")
    raise LookupError(text)


async def later(x: int) -> int:
    await asyncio.sleep(0)
    return x + 1


def leave(code: int) -> NoReturn:
    raise SystemExit(code)


@pytest.mark.parametrize("way", WAYS)
def test_values_and_errors_whatever_the_way(run: Rehearsal, way: str) -> None:
    content = shard(
        [
            task("one", int, 1),
            task(("sum", 0), operator.add, ref("one"), ref("literal")),
            task("bad", divide, ref("one"), 0),
            task("after", operator.neg, ref("bad")),
            task("array", np.full, 50_000, ref(("sum", 0))),
            Alias("also", "one"),
            task("later", later, ref("one")),
        ],
        literals=[DataNode("literal", 41)],
        options=WAYS[way],
    )
    found = run.outcomes(content)
    bad, after = found.pop("bad"), found.pop("after")
    assert isinstance(bad.load(), ZeroDivisionError)
    assert "divide" in bad.traceback_text
    assert bad == after
    assert bad.key == "bad"
    np.testing.assert_array_equal(found.pop("array"), np.full(50_000, 42))
    assert found == {"one": 1, ("sum", 0): 42, "also": 1, "later": 2}


def test_only_outputs_leave_the_shard(run: Rehearsal) -> None:
    tasks = [task("a", int, 1), task("b", operator.add, ref("a"), 1), task("c", int, 7)]
    assert run.outcomes(shard(tasks, ["b"])) == {"b": 2}


def test_a_shard_without_tasks_still_says_that_it_is_done(run: Rehearsal) -> None:
    assert run.outcomes(shard([])) == {}
    assert run.manifest(ID).final


def test_only_the_manifest_is_written_for_small_values(run: Rehearsal) -> None:
    run.outcomes(shard([task(n, int, n) for n in range(500)]))
    assert run.files("data/") == []
    assert len(run.files("manifests/")) == 1
    assert run.store.requests["put"] == 2  # the pack, the manifest


def test_large_values_share_one_object(run: Rehearsal) -> None:
    run.outcomes(shard([task(n, np.full, 20_000, float(n)) for n in range(10)]))
    assert len(run.files("data/")) == 1
    outputs = run.manifest(ID).outputs
    assert len({output.place.name for output in outputs}) == 1
    assert all(output.place.offset % 64 == 0 for output in outputs)
    assert all(output.nbytes == 160_000 for output in outputs)


def test_the_manifest_knows_times_types_and_work(run: Rehearsal) -> None:
    content = shard([task(("add-a1", n), operator.add, n, 0.5) for n in range(3)], [("add-a1", 1)])
    run.outcomes(content)
    found = run.manifest(ID)
    (output,) = found.outputs
    assert found.types[output.type][1] == "float"
    assert found.attempt == 1
    assert found.work["add"].tasks == 3
    times = np.frombuffer(found.times).reshape(-1, 2)
    assert len(times) == 3
    assert (times[:, 0] <= times[:, 1]).all()
    assert (output.start, output.stop) == tuple(times[1])
    assert (found.work["add"].values, found.work["add"].erred) == (1, 0)


def test_the_manifest_knows_which_task_each_time_belongs_to(run: Rehearsal) -> None:
    content = shard(
        [
            task("load-1", int),
            task("divide-1", operator.truediv, 1, ref("load-1")),
            task("load-2", int, "2"),
            task("add-1", operator.add, ref("divide-1"), 1),
        ],
        ["add-1", "load-2"],
    )
    run.outcomes(content)
    found = run.manifest(ID)
    prefixes = list(found.work)
    kinds = np.frombuffer(found.kinds, dtype="u4")
    assert [(prefixes[kind // 2], bool(kind % 2)) for kind in kinds] == [
        ("load", False),
        ("divide", True),
        ("load", False),
    ], "what reads a failure doesn't run"
    assert found.work["divide"].erred == 1
    assert len(found.times) == 16 * len(kinds)


def test_the_manifest_knows_how_much_was_moved(run: Rehearsal) -> None:
    run.outcomes(shard([task("a", np.ones, 100_000)]))
    moved = run.manifest(ID).moved
    assert 800_000 < moved["written"] < 810_000
    assert 0 < moved["read"] < 10_000, "its pack"


def test_a_failure_carries_what_its_task_printed(
    run: Rehearsal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = shard([task("a", print, "of another task"), task("b", shout, "now")])
    run.write(content)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", sys.stdout)
        patch.setattr(sys, "stderr", sys.stderr)
        printed = Printout()
        printed.install()
        run_shard(run, ID, 1, printed)
    failure = run.read(content, ID)["b"]
    if sys.version_info >= (3, 11):
        assert failure.load().__notes__ == ["The task had printed:\nout: now\nerr: now"]
    assert capsys.readouterr().out == "of another task\nout: now\n"


@pytest.mark.parametrize("way", ["one by one", "threads"])
def test_one_failure_is_written_once(run: Rehearsal, way: str) -> None:
    chain = [task(n, operator.neg, ref(n - 1 or "divide")) for n in range(1, 200)]
    content = shard([task("divide", divide, 1, 0), *chain], options=WAYS[way])
    found = run.outcomes(content)
    assert len(found) == 200
    assert {failure.key for failure in found.values()} == {"divide"}
    assert len({output.place for output in run.manifest(ID).outputs}) == 1
    assert run.manifest(ID).work.keys() == {"divide"}  # the others never ran


@pytest.mark.parametrize("way", WAYS)
def test_a_task_that_leaves_the_interpreter_is_an_error_of_that_task(
    run: Rehearsal, way: str
) -> None:
    content = shard([task("exit", leave, 3), task("fine", int, 1)], options=WAYS[way])
    found = run.outcomes(content)
    assert found["fine"] == 1
    error = found["exit"].load()
    assert isinstance(error, KilledTaskError)
    assert "SystemExit(3)" in str(error)


@pytest.mark.parametrize("way", WAYS)
def test_a_result_that_cannot_be_pickled_is_an_error_of_that_task(run: Rehearsal, way: str) -> None:
    content = shard([task("lock", threading.Lock), task("fine", int, 1)], options=WAYS[way])
    found = run.outcomes(content)
    assert found["fine"] == 1
    assert isinstance(found["lock"].load(), TypeError)
    assert "lock" in found["lock"].exception_text


class EndsPrograms:
    """What makes it again ends the program that does so, unlike what the job was made by."""

    def __init__(self, when: str) -> None:
        self.when = when

    def __reduce__(self) -> Any:
        return leave, (0,) if self.when == "unpickled" else leave(0)


@pytest.mark.parametrize("way", WAYS)
def test_a_result_whose_pickling_ends_the_program_is_an_error_of_that_task(
    run: Rehearsal, way: str
) -> None:
    tasks = [task("ends", EndsPrograms, "pickled"), task("fine", int, 1)]
    found = run.outcomes(shard(tasks, options=WAYS[way]))
    assert found["fine"] == 1
    assert "SystemExit" in found["ends"].exception_text


@pytest.mark.parametrize("way", WAYS)
def test_a_value_whose_unpickling_ends_the_program_is_an_error_of_what_reads_it(
    run: Rehearsal, way: str
) -> None:
    first = shard([task("ends", EndsPrograms, "unpickled")])
    run.write(first)
    run.start(ID)
    tasks = [task("reads", callable, ref("ends")), task("fine", int, 1)]
    second = shard(tasks, inputs=made(first, ID), options=WAYS[way])
    found = run.outcomes(second, stage=SECOND)
    assert found["fine"] == 1
    error = found["reads"].load()
    assert isinstance(error, KilledTaskError)
    assert isinstance(error.__cause__, SystemExit)


def test_what_stays_in_the_shard_need_not_be_pickled(run: Rehearsal) -> None:
    tasks = [task("lock", threading.Lock), task("type", callable, ref("lock"))]
    assert run.outcomes(shard(tasks, ["type"])) == {"type": False}


def test_a_task_that_cannot_be_pickled_is_an_error_of_that_task(run: Rehearsal) -> None:
    locked = partial(divide, threading.Lock())
    content = shard([task("bad", locked, 1), task("fine", int, 1)])
    found = run.outcomes(content)
    assert found["fine"] == 1
    error = found["bad"].load()
    assert isinstance(error, PicklingError)
    assert "'bad'" in str(error)


def test_an_exception_that_cannot_be_pickled_still_says_what_it_was(run: Rehearsal) -> None:
    def fail() -> NoReturn:
        error = ValueError("with a lock")
        error.lock = threading.Lock()  # type: ignore[attr-defined]
        raise error

    failure = run.outcomes(shard([task("bad", fail)]))["bad"]
    assert isinstance(failure, Failure)
    assert "with a lock" in str(failure.load())


@pytest.mark.parametrize("way", ["one by one", "threads"])
def test_deep_chains_run(run: Rehearsal, way: str) -> None:
    length = 5_000
    chain = [task(n, operator.add, ref(n - 1), 1) for n in range(1, length)]
    content = shard([task(0, int, 0), *chain], [length - 1], options=WAYS[way])
    assert run.outcomes(content) == {length - 1: length - 1}


def test_threads_run_at_the_same_time(run: Rehearsal) -> None:
    parties = 4
    barrier = partial(_meet, parties)
    content = shard([task(n, barrier) for n in range(parties)], options=Options(cores=parties))
    assert sorted(run.outcomes(content).values()) == list(range(parties))


def test_processes_are_others(run: Rehearsal) -> None:
    content = shard(
        [task(n, os.getpid) for n in range(4)], options=Options(cores=2, processes=True)
    )
    assert os.getpid() not in run.outcomes(content).values()


class Stubborn:
    """Can be pickled, but not unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle_in_vain, ()


def _unpickle_in_vain() -> NoReturn:
    raise LookupError("not here")


def test_what_cannot_be_unpickled_costs_no_other_task(run: Rehearsal) -> None:
    tasks = [task("bad", Stubborn), task("reader", type, ref("bad")), task("fine", int, 1)]
    found = run.outcomes(shard(tasks, options=Options(cores=2, processes=True)))
    assert found.pop("fine") == 1
    for failure in found.values():
        assert isinstance(failure.load(), LookupError)
        assert failure.key == "bad"


def test_each_child_runs_its_own_shard(run: Rehearsal) -> None:
    works = [shard([task(n, int, n)]) for n in range(3)]
    run.write(*works)
    for index in (2, 0, 1):
        run.start(ShardId(FIRST, index))
        assert run.read(works[index], ShardId(FIRST, index)) == {index: index}


def test_a_missing_pack_is_an_error(run: Rehearsal) -> None:
    with pytest.raises(MissingObjectError):
        run.start(ID)
    assert run.files("manifests/") == []


def test_errors_are_marked_in_the_manifest(run: Rehearsal) -> None:
    run.outcomes(shard([task("bad", divide, 1, 0), task("fine", int, 1)]))
    assert [output.kind for output in run.manifest(ID).outputs] == [Kind.ERRED, Kind.FINISHED]


_barriers: dict[int, threading.Barrier] = {}
_lock = threading.Lock()


def _meet(parties: int) -> Any:
    with _lock:
        barrier = _barriers.setdefault(parties, threading.Barrier(parties))
    return barrier.wait(30)


@pytest.mark.parametrize("notes", [True, False])
@pytest.mark.parametrize("seconds", [0.0, 5.0])
def test_errors_are_noted_beside_the_manifest(run: Rehearsal, notes: bool, seconds: float) -> None:
    options = Options(part_seconds=seconds, notes_errors=notes)
    tasks = [task("bad", divide, 1, 0), task("good", divide, 1, 1)]
    run.write(shard(tasks, options=options), shard(tasks[1:], options=options))
    run.start(ID)
    run.start(ShardId(FIRST, 1))
    assert run.survey().erred == ({ID} if notes else set())
    assert run.survey().done == {ID, ShardId(FIRST, 1)}


def test_only_errors_that_leave_a_shard_are_noted(run: Rehearsal) -> None:
    options = Options(notes_errors=True)
    run.write(shard([task("bad", divide, 1, 0), task("good", int, 1)], ["good"], options=options))
    run.start(ID)
    assert run.survey().erred == set()
