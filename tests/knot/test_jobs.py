"""Maps as jobs: what each session, and another one, is told of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dask_knot import Knot
from dask_knot.errors import ItemsError, JobError
from dask_knot.knot.jobs import PAUSE
from tests.end_to_end.conftest import until
from tests.knot.functions import double

LONG = 60


def test_a_map_that_another_session_still_reads_is_under_way(tmp_path: Path) -> None:
    settings: Any = {"store": tmp_path, "jobs": 1, "progress": False}
    more = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        more.wait(LONG)
        yield 2

    with Knot("read", double, **settings) as one, Knot("read", double, **settings) as two:
        future = one.map(items())
        assert next(iter(future)) == 2
        (job,) = two.jobs
        assert not job.done
        assert job.status["status"] == "RUNNING"
        before = time.monotonic()
        with pytest.raises(TimeoutError, match="1 of"):
            job.result(0.1)
        assert time.monotonic() - before < PAUSE
        more.set()
        assert future.result(LONG) == [2, 4]
        assert job.result(LONG) == [2, 4]
        assert job.done


def test_maps_that_ended_early_say_so_in_other_sessions(tmp_path: Path) -> None:
    settings: Any = {"store": tmp_path, "jobs": 1, "progress": False}
    never = threading.Event()

    def broken() -> Iterator[int]:
        yield 1
        raise OSError("no connection")

    with Knot("early", double, **settings) as one, Knot("early", double, **settings) as two:
        assert isinstance(one.map(broken()).exception(LONG), ItemsError)
        left = one.map(n for n in [3, 4] if n == 3 or never.wait(LONG))
        assert next(iter(left)) == 6
        assert left.cancel()
        never.set()
        until(lambda: two.jobs[1].done)
        first, second = two.jobs
        assert [job.status["status"] for job in (first, second)] == ["FAILED", "FAILED"]
        with pytest.raises(JobError, match="no connection"):
            first.result(LONG)
        with pytest.raises(JobError, match="cancelled"):
            second.result(LONG)
        assert (first.values(), second.values()) == ({0: 2}, {0: 6})


def test_maps_are_told_in_a_line(knot: Knot) -> None:
    future = knot.map([1, 2, "bad"])
    assert future.exception(LONG) is not None
    assert repr(future) == f"<MapFuture {future.name}: 3 of 3 items, 1 failed, done>"
    job = knot.jobs[-1]
    assert repr(job) == f"<KnotJob {future.name}: double, 3 items, FAILED>"
    assert job in {job}
