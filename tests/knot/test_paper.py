"""The API section of the Cloudknot paper, line by line (Richie-Halford & Rokem, SciPy 2018).

Word for word but for the import, for how many samples each job has, and for two mistakes that are
in the paper: its function counts over `n`, but calls its argument `b`; and what is between the
quarter circle and the square is four, not a fourth.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest

import dask_knot as ck


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Iterator[Path]:
    """Say by the configuration what users say by theirs."""
    with dask.config.set({"knot.store": str(tmp_path), "knot.jobs": 2}):
        yield tmp_path


def monte_pi_count(n):  # type: ignore[no-untyped-def]
    import numpy as np

    x = np.random.rand(n)
    y = np.random.rand(n)
    return np.count_nonzero(x * x + y * y <= 1.0)


def udf(arg0: int, arg1: str) -> str:
    return arg1 * arg0


PI = 0.0


def test_pi(capsys: pytest.CaptureFixture[str]) -> None:
    knot = ck.Knot(name="pi-calc", func=monte_pi_count)

    n_jobs, n_samples = 1000, 10_000
    args = np.ones(n_jobs, dtype=np.int32) * n_samples
    future = knot.map(args)

    # We can then query the result status using future.done() and retrieve the results
    assert future.done() in (True, False)
    assert len(future.result(timeout=60)) == n_jobs
    assert future.done()

    # knot.jobs ... each of which has its own done property and result() method
    assert future.done() == knot.jobs[-1].done
    assert future.result() == knot.jobs[-1].result()

    n_total = n_samples * n_jobs

    def pi_from_future(future: Any) -> None:
        global PI
        PI = 4.0 * np.sum(future.result()) / n_total

    future.add_done_callback(pi_from_future)
    assert pytest.approx(3.14159, abs=0.01) == PI

    # Lastly, ... we can get a quick summary of the status of all jobs
    capsys.readouterr()
    knot.view_jobs()
    head, line, job = capsys.readouterr().out.splitlines()
    assert head.split() == ["Job", "ID", "Name", "Status"]
    assert set(line) == {"-"}
    assert re.fullmatch(r"[0-9a-f]{8}\.\.\. +pi-calc-0 +SUCCEEDED", job)

    knot.clobber()
    with pytest.raises(ck.errors.EngineError, match="was clobbered"):
        knot.map(args)
    with pytest.raises(ck.errors.EngineError, match="was clobbered"):
        knot.view_jobs()
    knot.clobber()  # twice does no harm


def test_functions_with_several_arguments() -> None:
    with ck.Knot(name="product", func=udf) as knot:
        args = list(itertools.product([1, 2, 3], ["a", "b", "c"]))
        future = knot.map(args, starmap=True)
        assert future.result(timeout=60) == ["a", "b", "c", "aa", "bb", "cc", "aaa", "bbb", "ccc"]


def test_results_of_past_sessions(store: Path) -> None:
    with ck.Knot(name="pi-calc", func=monte_pi_count) as knot:
        first = knot.map([100] * 8).result(timeout=60)
    # In this way, users have access to AWS Batch job results that they have run in past sessions.
    knot = ck.Knot(name="pi-calc")
    assert knot.func is not None
    assert [job.done for job in knot.jobs] == [True]
    assert knot.jobs[-1].result() == first
    knot.clobber()
    assert list(store.iterdir()) == []
