"""Failures survive the way through the store, or are refused."""

from __future__ import annotations

import asyncio
import re
import threading
import types
from traceback import extract_tb

import pytest
from dask._task_spec import Alias, Task
from distributed import Lock
from distributed.protocol import pickle

from dask_knot.errors import CorruptObjectError, JobMemoryError, LiveWorkerError
from dask_knot.job.tasks import run_pickled, run_task
from dask_knot.run.failure import Failure, describe, fail
from dask_knot.task.context import entered
from dask_knot.task.worker import JobWorker


def test_a_failure_comes_back() -> None:
    try:
        raise ValueError("what is wrong")
    except ValueError as error:
        failure = describe(error, ("key", 1))
    back = Failure.decode(failure.encode())
    assert back == failure
    assert back.key == "('key', 1)"
    assert repr(back.load()) == "ValueError('what is wrong')"
    assert "test_failure.py" in back.traceback_text
    assert back.traceback is not None
    assert pickle.loads(back.traceback) is not None


def test_an_exception_that_was_never_raised_has_a_traceback() -> None:
    error = JobMemoryError(
        "too much", "job-1", "OutOfMemoryError: Container killed", ("last line",)
    )
    back = fail(error, "key").load()
    assert isinstance(back, MemoryError)
    assert isinstance(back, JobMemoryError)
    assert (back.job_id, back.reason, back.log) == (error.job_id, error.reason, error.log)


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x93\x01", b"\x80", b"\x81\xa1x\x01", b"\x01"])
def test_what_is_no_failure_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptObjectError, match="not a failure"):
        Failure.decode(data)


def test_every_truncation_is_noticed() -> None:
    data = fail(ValueError("x"), "key").encode()
    for length in range(len(data)):
        with pytest.raises(CorruptObjectError):
            Failure.decode(data[:length])


def kaput(x: int) -> float:
    return 1 / x


async def kaput_later(x: int) -> float:
    await asyncio.sleep(0)
    return kaput(x)


def use_a_lock() -> None:
    with Lock("x"):
        raise AssertionError


INNER = Task("inner", kaput, 0)
FUSED = Task.fuse(
    INNER, Task("middle", str, INNER.ref()), Task("whole", str, Alias("middle").ref())
)
TASKS = {
    "plain": (Task("x", kaput, 0), ["kaput"]),
    "fused": (FUSED, ["kaput"]),
    "coroutine": (Task("x", kaput_later, 0), ["kaput_later", "kaput"]),
    "none of its own": (Task("x", int, "no number"), []),
}


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("is_pickled", [False, True])
def test_a_traceback_begins_with_the_code_of_the_user(name: str, is_pickled: bool) -> None:
    task, functions = TASKS[name]
    if is_pickled:
        failure = pickle.loads(run_pickled(pickle.dumps((task, {})))).value
    else:
        failure = run_task(task, {}).value
    for traceback in (pickle.loads(failure.traceback), failure.load().__traceback__):
        assert [frame.name for frame in extract_tb(traceback)] == functions
    assert re.findall(r"File .* in (\w+)", failure.traceback_text) == functions


def test_what_is_refused_shows_where_it_is_used() -> None:
    with entered(JobWorker("shard")):
        failure = run_task(Task("x", use_a_lock), {}).value
    names = [frame.name for frame in extract_tb(pickle.loads(failure.traceback))]
    assert names[0] == "use_a_lock"
    assert isinstance(failure.load(), LiveWorkerError)


def test_an_error_of_our_own_keeps_its_frames() -> None:
    failure = fail(ValueError("x"), "key")
    assert [frame.name for frame in extract_tb(pickle.loads(failure.traceback))] == ["fail"]


@pytest.mark.parametrize("is_cause", [False, True])
def test_an_endless_recursion_keeps_its_type_and_the_ends_of_its_traceback(is_cause: bool) -> None:
    def recurse() -> None:
        recurse()

    try:
        try:
            recurse()
        except RecursionError as error:
            if is_cause:
                raise ValueError("it is too deep") from error
            raise
    except (RecursionError, ValueError) as error:
        failure = describe(error, "key")
    back = failure.load()
    assert isinstance(back.__cause__ if is_cause else back, RecursionError)
    # Dask's client drops what is no traceback with an AssertionError: its future would never end.
    assert failure.traceback is None or isinstance(
        pickle.loads(failure.traceback), types.TracebackType
    )
    assert is_cause or "recurse()" in failure.traceback_text


class Several(Exception):
    """It has what groups of exceptions have, but of its own kind."""

    exceptions = ("no exception", 1)


def test_what_a_user_names_as_groups_do_is_left_alone() -> None:
    try:
        raise Several("all went wrong")
    except Several as error:
        failure = describe(error, "key")
    assert isinstance(failure.load(), Several)


def test_a_traceback_that_cannot_be_pickled_costs_no_more_than_on_any_cluster() -> None:
    code = compile("raise ValueError('cannot use it')", "made.py", "exec")
    try:
        exec(code, {"__name__": threading.Lock()})
    except ValueError as error:
        failure = describe(error, "key")
    assert failure.traceback is None
    assert "made.py" in failure.traceback_text
    # Dask gives up the type then, and keeps the text.
    assert str(pickle.loads(failure.exception)) == repr(ValueError("cannot use it"))
