"""What went wrong in a job is what the client sees: exceptions of every kind, and their retries."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import dask.bag as db
import numpy as np
import pytest
from dask import delayed
from distributed import Client, Future, wait

from dask_knot import KnotCluster
from dask_knot.errors import KilledTaskError, KnotError, MissingObjectError, NotLoadedError
from tests.end_to_end.tasks import count_call, fail, inc


def divide(a: float, b: float) -> float:
    return a / b


def refuse_large(block: Any) -> Any:
    if (block > 80).any():
        raise ValueError("too large", block.shape)
    return block


class TwoPartsError(Exception):
    """Takes more than its message, as many libraries' exceptions do: unpickling it fails."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")


class OnlyHereError(Exception):
    """Can't leave the process that raises it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.file = sys.stdin

    def __reduce__(self) -> Any:
        raise TypeError("this exception stays where it is")


class OnlyThereError(Exception):
    """Of a module that only jobs have."""

    def __reduce__(self) -> Any:
        return _only_there, (os.getpid(), str(self))


def _only_there(pid: int, text: str) -> OnlyThereError:
    if pid != os.getpid():
        raise ImportError("No module named 'only_in_jobs'")
    return OnlyThereError(text)


def raise_only_there() -> None:
    raise OnlyThereError("the library's own reason")


def raise_two_parts() -> None:
    raise TwoPartsError(7, "no such station")


def raise_only_here() -> None:
    raise OnlyHereError("the reason itself")


def raise_from_another() -> None:
    try:
        divide(1, 0)
    except ZeroDivisionError as error:
        raise LookupError("no ratio") from error


def raise_huge() -> None:
    raise ValueError("x" * 5_000_000, np.zeros(2_000_000))


class Stop(BaseException):
    """No Exception, as some frameworks have them."""


def raise_base(kind: str) -> None:
    raise {"interrupt": KeyboardInterrupt, "stop": Stop, "exit": SystemExit}[kind]("at once")


def work_at(folder: str, call: int, x: int = 0) -> int:
    """Work the n-th time only."""
    count_call(folder, x)
    if len((Path(folder) / str(x)).read_text()) < call:
        raise OSError("not yet")
    return x


def error_of(future: Future) -> BaseException:
    error: BaseException = future.exception(timeout=30)
    return error


def test_type_message_and_place_come_back(client: Client) -> None:
    chain = delayed(inc)(delayed(inc)(delayed(divide)(1, 0)))
    with pytest.raises(ZeroDivisionError, match="division by zero") as caught:
        chain.compute()
    names = [entry.name for entry in caught.traceback]
    assert "divide" in names
    future = client.submit(divide, 1, 0)
    wait(future)
    assert traceback.extract_tb(future.traceback())[-1].name == "divide"


def test_everything_after_a_failure_errs_and_nothing_else(client: Client) -> None:
    first = client.submit(divide, 1, 0)
    second = client.submit(inc, first)
    third = client.submit(sum, [second, 1])
    beside = client.submit(inc, 5)
    for future in (first, second, third):
        assert isinstance(error_of(future), ZeroDivisionError)
    assert beside.result(timeout=30) == 6
    late = client.submit(inc, third)  # it depends on what has failed long ago
    assert isinstance(error_of(late), ZeroDivisionError)
    assert client.gather([beside, third], errors="skip") == [6]


def test_a_cause_comes_along(client: Client) -> None:
    error = error_of(client.submit(raise_from_another))
    assert isinstance(error, LookupError)
    assert isinstance(error.__cause__, ZeroDivisionError)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has no exception groups")
def test_groups_of_exceptions(client: Client) -> None:
    def raise_several() -> None:
        raise ExceptionGroup("several", [ValueError("one"), OSError("two")])  # noqa: F821

    error: Any = error_of(client.submit(raise_several))
    assert [type(one) for one in error.exceptions] == [ValueError, OSError]


def test_an_exception_that_cant_be_unpickled(client: Client) -> None:
    error = error_of(client.submit(raise_two_parts))
    assert "no such station" in str(error)
    dependent = delayed(inc)(delayed(raise_two_parts)())
    assert "no such station" in str(error_of(client.compute(dependent)))


def test_an_exception_that_only_jobs_can_unpickle(client: Client) -> None:
    error = error_of(client.submit(raise_only_there))
    assert isinstance(error, KnotError)
    assert "the library's own reason" in str(error)
    assert "only_in_jobs" in str(error)


class Unreadable:
    """Can be pickled, but not read again."""

    def __reduce__(self) -> Any:
        return _raise_key_error, ()


def _raise_key_error() -> None:
    raise KeyError("no such station")


@pytest.mark.parametrize("argument", [Unreadable(), [Unreadable()], {"a": (Unreadable(),)}])
def test_an_argument_that_cant_be_unpickled(client: Client, argument: Any) -> None:
    error = error_of(client.submit(len, argument, pure=False))
    assert isinstance(error, RuntimeError)  # as Dask's scheduler raises it
    assert isinstance(error, NotLoadedError)
    assert "KeyError: 'no such station'" in str(error)
    assert isinstance(error.__cause__, KeyError)


def test_an_exception_that_cant_be_pickled(client: Client) -> None:
    error = error_of(client.submit(raise_only_here))
    assert "the reason itself" in str(error)
    dependent = delayed(inc)(delayed(raise_only_here)())
    assert "the reason itself" in str(error_of(client.compute(dependent)))


def test_an_exception_with_huge_arguments(cluster: KnotCluster, client: Client) -> None:
    futures = [client.submit(raise_huge, pure=False) for _ in range(3)]
    futures += [client.submit(inc, futures[0])]
    for future in futures:
        error = error_of(future)
        assert len(str(error)) < 100_000
        assert "xxxx" in str(error)


def test_an_endless_recursion(client: Client) -> None:
    def recurse(x: int) -> int:
        return recurse(x) + 1

    with pytest.raises(RecursionError):
        client.submit(inc, client.submit(recurse, 1)).result(timeout=30)


def test_an_exception_that_has_no_text(client: Client) -> None:
    class Unspeakable(Exception):
        def __repr__(self) -> str:
            raise ValueError("no words")

        __str__ = __repr__

    def stammer() -> None:
        raise Unspeakable

    with pytest.raises(ValueError, match="no words"):
        client.submit(stammer).result(timeout=30)


class Vague:
    """A value whose size can't be told."""

    def __sizeof__(self) -> int:
        raise ValueError("how large is it?")


def test_a_value_that_has_no_size(client: Client) -> None:
    made = client.submit(Vague)
    assert client.submit(lambda *values: len(values), made, Vague()).result(timeout=30) == 2
    assert isinstance(made.result(timeout=30), Vague)
    assert isinstance(client.scatter(Vague()).result(timeout=30), Vague)


@pytest.mark.parametrize("kind", ["interrupt", "stop", "exit"])
@pytest.mark.parametrize("is_alone", [True, False])
def test_what_would_end_a_program(client: Client, kind: str, is_alone: bool) -> None:
    task = delayed(raise_base)(kind)
    future = client.compute(task if is_alone else delayed(inc)(task), optimize_graph=False)
    beside = client.submit(inc, 1, pure=False)
    with pytest.raises(KilledTaskError, match=r"at once.*raise an Exception"):
        future.result(timeout=30)
    assert beside.result(timeout=30) == 2


def test_warnings_and_prints_are_in_the_log(cluster: KnotCluster, client: Client) -> None:
    def speak() -> int:
        print("to the output")
        print("to the errors", file=sys.stderr)
        warnings.warn("beware of the dog", stacklevel=1)
        os.write(1, b"from a library\n")
        return 1

    future = client.submit(speak)
    assert future.result(timeout=30) == 1
    (lines,) = cluster.logs(future).values()
    text = "\n".join(lines) if not isinstance(lines, str) else lines
    for line in ("to the output", "to the errors", "beware of the dog", "from a library"):
        assert line in text


def test_retries_of_a_whole_collection(client: Client, tmp_path: Path) -> None:
    parts = [delayed(work_at)(str(tmp_path), 3, x) for x in range(5)]
    future = client.compute(delayed(sum)(parts), retries=2, optimize_graph=False)
    assert future.result(timeout=60) == 10
    assert {len(path.read_text()) for path in tmp_path.iterdir()} == {3}


def test_too_few_retries(client: Client, tmp_path: Path) -> None:
    bag = db.from_sequence([0, 1], npartitions=2).map(lambda x: work_at(str(tmp_path), 4, x))
    future = client.compute(bag.sum(), retries=1)
    with pytest.raises(OSError, match="not yet"):
        future.result(timeout=60)


def test_retries_of_one_task_of_many(client: Client, tmp_path: Path) -> None:
    with dask.annotate(retries=1):
        patient = delayed(work_at)(str(tmp_path / "a"), 2)
    hasty = delayed(work_at)(str(tmp_path / "b"), 2)
    for folder in "ab":
        (tmp_path / folder).mkdir()
    futures = client.compute([delayed(inc)(patient), delayed(inc)(hasty)], optimize_graph=False)
    assert futures[0].result(timeout=30) == 1
    with pytest.raises(OSError, match="not yet"):
        futures[1].result(timeout=30)


def test_persist_with_retries_and_retry(client: Client, tmp_path: Path) -> None:
    bag = db.from_sequence([0, 1, 2], npartitions=3).map(lambda x: work_at(str(tmp_path), 3, x))
    held = client.persist(bag, retries=1)
    futures = client.futures_of(held)
    wait(futures)
    assert {future.status for future in futures} == {"error"}
    client.retry(futures)
    assert held.compute() == [0, 1, 2]


def recreated(client: Client, future: Any) -> tuple[BaseException, list[str]]:
    """Run what failed once more, here; give its error and the functions on the way to it."""
    wait(future)
    with pytest.raises(Exception) as caught:  # noqa: PT011
        client.recreate_error_locally(future)
    return caught.value, [entry.name for entry in caught.traceback]


def test_recreating_the_error_of_a_task(client: Client) -> None:
    failed = client.submit(divide, 1, 0)
    for future in (failed, client.submit(inc, failed)):
        error, names = recreated(client, future)
        assert isinstance(error, ZeroDivisionError)
        assert names[-1] == "divide"


def test_recreating_leaves_what_is_read_as_it_is(client: Client) -> None:
    x = client.submit(inc, 1, pure=False)
    scattered = client.scatter(0)
    error, _ = recreated(client, client.submit(divide, x, scattered))
    assert isinstance(error, ZeroDivisionError)
    assert x.result(timeout=30) == 2
    assert scattered.result(timeout=30) == 0


@pytest.mark.parametrize("how", ["compute", "persist"])
def test_recreating_an_error_inside_a_shard(client: Client, how: str) -> None:
    checked = (da.arange(100, chunks=10) + 1).map_blocks(refuse_large)
    error, names = recreated(client, getattr(client, how)(checked.sum()))
    assert error.args[0] == "too large"
    assert names[-1] == "refuse_large"


def test_recreating_runs_the_blamed_task_and_what_it_needs_only(
    client: Client, tmp_path: Path
) -> None:
    needed = delayed(count_call)(str(tmp_path), 1)
    beside = delayed(count_call)(str(tmp_path), 2)
    failing = delayed(divide)(needed, 0)
    later = delayed(sum)([failing, beside, delayed(count_call)(str(tmp_path), failing)])
    error, _ = recreated(client, client.compute(later, optimize_graph=False))
    assert isinstance(error, ZeroDivisionError)
    assert (tmp_path / "1").read_text() == "xx"
    assert (tmp_path / "2").read_text() == "x"


def test_recreating_an_error_after_values_that_are_held(client: Client) -> None:
    base = da.arange(100, chunks=10).persist()
    error, names = recreated(client, client.compute((base + 1).map_blocks(refuse_large).sum()))
    assert error.args[0] == "too large"
    assert names[-1] == "refuse_large"
    assert int(base.sum().compute()) == 4950


def test_recreating_a_task_that_worked(client: Client) -> None:
    future = client.submit(divide, 6, 3)
    wait(future)
    assert client.recreate_task_locally(future) == 2
    total = client.compute(da.arange(100, chunks=10).sum())
    wait(total)
    assert client.recreate_task_locally(total) == 4950


def test_recreating_what_no_task_made(client: Client) -> None:
    with pytest.raises(MissingObjectError, match="scattered"):
        client.recreate_task_locally(client.scatter(3))
    future = client.submit(inc, 1)
    with pytest.raises(ValueError, match="No errored futures"):
        client.recreate_error_locally(future)


def test_an_error_in_jobs_with_processes(open_cluster: Callable[..., KnotCluster]) -> None:
    cluster = open_cluster(jobs=1, cores=2, processes=True)
    with Client(cluster) as client:
        futures = client.map(fail, range(3))
        assert [str(error_of(future)) for future in futures] == [
            f"cannot use {n}" for n in range(3)
        ]
        assert "no such station" in str(error_of(client.submit(raise_two_parts)))
        assert "the reason itself" in str(error_of(client.submit(raise_only_here)))
        with pytest.raises(KilledTaskError, match="at once"):
            client.submit(raise_base, "interrupt").result(timeout=30)
