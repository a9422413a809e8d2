"""A knot from end to end: maps, what goes wrong with them, and what is left."""

from __future__ import annotations

import asyncio
import concurrent.futures
import io
import logging
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dask_knot import Knot
from dask_knot.errors import (
    ConfigurationError,
    EngineError,
    ItemsError,
    KilledTaskError,
    MissingObjectError,
    PicklingError,
)
from dask_knot.knot.future import MapCounts
from tests.knot.functions import add, double, variable

LONG = 60


def end_process(value: int) -> int:
    """End the process of the job for one of the values."""
    if value == 3:
        os._exit(3)
    return value


def test_a_list_a_generator_and_nothing(knot: Knot) -> None:
    assert knot.map([1, "a", [2]]).result(LONG) == [2, "aa", [2, 2]]
    assert knot.map(n for n in range(200)).result(LONG) == [2 * n for n in range(200)]
    empty = knot.map([])
    assert empty.result(LONG) == []
    assert empty.counts == MapCounts(0, 0, 0, False)
    assert knot.map(iter(())).result(LONG) == []


def test_values_come_one_after_another(knot: Knot) -> None:
    future = knot.map(range(50))
    assert list(future) == [2 * n for n in range(50)]
    assert sorted(one.number for one in future.as_completed()) == [*range(50)]
    assert concurrent.futures.wait([future], LONG).done == {future}
    assert len(future) == 50


def test_the_bill_of_its_jobs_can_be_asked_for(knot: Knot) -> None:
    knot.map([1, 2]).result(LONG)
    bill = knot.cost()
    assert bill.attempts > 0
    assert str(bill.total) == "0 USD"


def test_what_a_function_raises_is_raised_here_and_the_others_are_there(knot: Knot) -> None:
    future = knot.map(["a", "bad", "b", "bad too"])
    with pytest.raises(ValueError, match=r"nobody doubles bad\n.*item 1 of doubles-") as caught:
        future.result(LONG)
    assert "double" in str(caught.traceback[-1])
    found = {one.number: one for one in future.as_completed()}
    assert (found[0].value, found[2].value) == ("aa", "bb")
    assert "bad too" in str(found[3].exception())
    job = knot.jobs[-1]
    assert job.values() == {0: "aa", 2: "bb"}
    assert job.status["arrayProperties"]["statusSummary"] == {"SUCCEEDED": 2, "FAILED": 2}
    assert job.status["status"] == "FAILED"


def test_a_generator_that_raises_midway(knot: Knot) -> None:
    def items() -> Iterator[int]:
        yield from (1, 2)
        raise OSError("the disk is gone")

    future = knot.map(items())
    with pytest.raises(ItemsError, match=r"stopped after 2: .*OSError: the disk is gone"):
        future.result(LONG)
    assert [one.value for one in sorted(landed(future))] == [2, 4]
    job = knot.jobs[-1]
    assert job.items == 2
    assert job.status["status"] == "FAILED"
    assert "the disk is gone" in job.status["statusReason"]
    assert job.values() == {0: 2, 1: 4}


def landed(future: Any) -> Iterator[Any]:
    """Give what has landed of a future that ends with an error."""
    try:
        yield from future.as_completed()
    except ItemsError:
        return


def test_a_generator_gives_what_does_not_fit(knot: Knot) -> None:
    future = knot.map(one for one in (1, threading.Lock()))
    with pytest.raises(PicklingError, match="item 1"):
        future.result(LONG)


@pytest.mark.parametrize(
    ("items", "starmap", "error", "words"),
    [
        ([(1, 2)], True, ItemsError, "can't be called with item 0, which is 2 arguments"),
        ([1, threading.Lock()], False, PicklingError, "item 1, .*can't be sent to a job"),
        (5, False, ItemsError, "isn't an iterable"),
    ],
    ids=["signature", "pickle", "iterable"],
)
def test_wrong_items_are_refused_before_there_is_a_map(
    knot: Knot, items: Any, starmap: bool, error: type[Exception], words: str
) -> None:
    before = len(knot.jobs)
    with pytest.raises(error, match=words):
        knot.map(items, starmap=starmap)
    assert len(knot.jobs) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"env_vars": []}, "here it is environment="),
        ({"max_thread": 3}, "has no argument 'max_thread'"),
        ({"max_jobs": 0}, "max_jobs=0 is wrong"),
        ({"environment": {"AWS_BATCH_X": 1}}, "environment='AWS_BATCH_X' is wrong"),
    ],
    ids=str,
)
def test_wrong_arguments_are_refused(knot: Knot, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        knot.map([1], **arguments)


def test_a_map_that_is_cancelled_computes_no_more(knot: Knot) -> None:
    more = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        more.wait(LONG)
        yield 2

    future = knot.map(items())
    assert next(iter(future)) == 2
    assert future.cancel()
    more.set()
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(LONG)
    assert knot.map([4]).result(LONG) == [8]


def test_what_is_called_when_a_map_is_done_may_map_and_wait(knot: Knot) -> None:
    found: list[int] = []
    called = threading.Event()

    def again(future: Any) -> None:
        found.extend(future.result())
        if len(found) < 8:
            knot.map(found).add_done_callback(again)
            knot.map([9]).result(LONG)
        else:
            called.set()

    knot.map([1, 2]).add_done_callback(again)
    assert called.wait(LONG)
    assert found[:4] == [2, 4, 4, 8]


def test_a_limit_of_jobs_holds_while_its_map_runs(knot: Knot) -> None:
    more = threading.Event()
    future = knot.map((n for n in [1] if more.wait(LONG)), max_jobs=1)
    other = knot.map([2])
    assert other.result(LONG) == [4]
    assert knot.session.slots == 1
    more.set()
    assert future.result(LONG) == [2]
    assert knot.map([3], max_jobs=50).result(LONG) == [6]
    assert knot.session.slots == 2


def test_variables_are_those_of_one_map(tmp_path: Path) -> None:
    with Knot("variables", variable, store=tmp_path, cores=2, jobs=1, progress=False) as knot:
        names = ["KNOT_A"] * 8
        futures = [knot.map(names, environment={"KNOT_A": n}) for n in range(3)]
        futures.append(knot.map(names))
        assert [set(one.result(LONG)) for one in futures] == [{"0"}, {"1"}, {"2"}, {None}]
        assert knot.jobs[0].environment_variables == ["KNOT_A"]
    assert "KNOT_A" not in os.environ


def test_an_item_that_ends_its_job_is_named_and_the_others_are_there(tmp_path: Path) -> None:
    with Knot("ends", end_process, store=tmp_path, jobs=2, progress=False) as knot:
        future = knot.map(range(6))
        with pytest.raises(KilledTaskError):
            future.result(LONG)
        assert sorted(o.number for o in future.as_completed() if o.error is None) == [0, 1, 2, 4, 5]


def test_the_same_items_are_not_computed_twice(tmp_path: Path) -> None:
    settings: Any = {"store": tmp_path, "jobs": 2, "progress": False}
    with Knot("sums", add, **settings) as knot:
        assert knot.map([1, 2]).result(LONG) == [1, 2]
    with Knot("sums", add, **settings) as knot:
        future = knot.map([1, 2, 3])
        assert future.result(LONG) == [1, 2, 3]
        made = [job.size for job in knot.session.jobs.values() if not job.is_adopted]
        assert sum(made) == 1  # only 3 is new
    with Knot.open("sums", **settings) as knot:
        assert [job.result() for job in knot.jobs] == [[1, 2], [1, 2, 3]]
        status = knot.jobs[1].status
        assert status["arrayProperties"] == {"size": 3, "statusSummary": {"SUCCEEDED": 3}}


def test_another_function_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings: Any = {"store": tmp_path, "jobs": 1, "progress": False}
    with Knot("one", add, **settings) as knot:
        assert knot.map([1]).result(LONG) == [1]
    with caplog.at_level(logging.WARNING, "dask_knot.knot"):
        with Knot("one", add, **settings):
            assert not caplog.records
        with Knot("one", double, **settings) as knot:
            assert "ran add with different code than double has now" in caplog.text
            assert knot.map([1]).result(LONG) == [2]
            assert [job.result() for job in knot.jobs] == [[1], [2]]


def test_a_knot_that_there_is_not_cannot_be_opened(tmp_path: Path) -> None:
    with Knot("stations", add, store=tmp_path, progress=False):
        pass
    with pytest.raises(ConfigurationError, match=r"no run 'station' .*it has stations"):
        Knot.open("station", store=tmp_path)
    with Knot.open("stations", store=tmp_path, progress=False) as knot:
        assert knot.jobs == []
        assert "no function" in repr(knot)
        with pytest.raises(ConfigurationError, match="has no function"):
            knot.map([1])


def test_a_knot_that_is_closed_says_so_and_its_values_stay(tmp_path: Path) -> None:
    knot = Knot("closed", double, store=tmp_path, jobs=1, progress=False)
    never = threading.Event()
    done, left = knot.map([1, 2]), knot.map(n for n in [1] if never.wait(LONG))
    assert done.exception(LONG) is None
    knot.close()
    knot.close()
    never.set()
    assert done.result() == [2, 4]
    with pytest.raises(EngineError, match="closed before closed-1 was done"):
        left.result(LONG)
    for call in (lambda: knot.map([1]), lambda: knot.jobs, knot.view_jobs, knot.clobber):
        with pytest.raises(EngineError, match="is closed"):
            call()


def test_all_items_are_submitted_when_the_process_ends_and_jobs_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    knot = Knot("stays", double, store=tmp_path, jobs=1, progress=False)
    monkeypatch.setattr(type(knot.session), "jobs_stay", True)
    more = threading.Event()
    future = knot.map(n for n in [1, 2] if n == 1 or more.wait(LONG))
    assert next(iter(future)) == 2
    end = threading.Thread(target=knot.host.close_at_exit, args=[LONG])
    end.start()
    end.join(0.5)
    assert not knot.host.is_closed
    more.set()
    end.join(LONG)
    assert len(future) == 2
    assert knot.host.is_closed
    knot.close()


def test_clobber_keeps_its_hands_off_what_others_use(tmp_path: Path) -> None:
    settings: Any = {"store": tmp_path, "jobs": 1, "progress": False}
    with Knot("shared", add, **settings) as one, Knot("shared", add, **settings) as two:
        with pytest.raises(ConfigurationError, match=r"in use: .* has it open"):
            one.clobber()
        with pytest.raises(ConfigurationError, match="dask knot down"):
            one.clobber(clobber_pars=True)
        one.clobber(yes=True, clobber_pars=False)
        assert repr(one).endswith("clobbered>")
        with pytest.raises(Exception, match=r"deleted|gone"):
            two.map([1])


def test_jobs_and_their_children(knot: Knot, capsys: pytest.CaptureFixture[str]) -> None:
    assert knot.map(range(300)).result(LONG)[299] == 598
    job = knot.jobs[-1]
    assert job.job_id in job.job_ids
    assert {*job.job_ids} <= {*knot.job_ids}
    assert (job.items, job.starmap, job.array_job) == (300, False, True)
    assert job.logs() == {}
    children = job.children()
    assert {state for _, state in children} == {"SUCCEEDED"}
    knot.view_jobs(children=True)
    printed = capsys.readouterr().out
    assert all(id in printed for id, _ in children)
    job.terminate("it is done")
    assert job.result()[0] == 0


class Keyboard(io.StringIO):
    """A terminal at which somebody types."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_somebody_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Knot("asked", double, store=tmp_path, jobs=1, progress=False) as knot:
        assert knot.map([1]).result(LONG) == [2]
        monkeypatch.setattr(sys, "stdin", Keyboard("no\ny\n"))
        knot.clobber()
        assert knot.jobs[0].result() == [2]
        knot.clobber()
    assert list(tmp_path.iterdir()) == []


def test_a_value_that_is_gone_is_said_to_be_and_can_be_computed_anew(tmp_path: Path) -> None:
    settings: Any = {"store": tmp_path, "jobs": 1, "progress": False}
    with Knot("gone", double, **settings) as knot:
        future = knot.map(["x" * 100_000])
        assert future.exception(LONG) is None
        for path in (tmp_path / "gone/data").rglob("*"):
            if path.is_file():
                path.unlink()
        with pytest.raises(MissingObjectError, match="reuse=False"):
            future.result()
        assert knot.map(["x" * 100_000]).result(LONG) == ["x" * 200_000]
    with Knot("gone", double, reuse=False, **settings) as knot:
        assert knot.map(["x" * 100_000]).result(LONG) == ["x" * 200_000]


def test_an_event_loop_can_wait_for_it(knot: Knot) -> None:
    async def wait() -> list[int]:
        return await asyncio.wrap_future(knot.map([1, 2]))

    assert asyncio.run(wait()) == [2, 4]


def test_in_a_fork_a_knot_is_of_no_use(knot: Knot) -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            knot.map([1])
        except EngineError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as pipe:
        assert "of which this is a fork: Knot.open('doubles')" in pipe.read()
    assert knot.map([3]).result(LONG) == [6]
