"""Estimates as users ask for them: of collections, of knots, of scripts; and sizes that follow."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dask
import pytest
from dask import delayed
from distributed import Client

from dask_knot import Knot, KnotCluster
from dask_knot.errors import ConfigurationError, EngineError, JobError
from dask_knot.estimates.sizes import LOCAL_STEPS
from dask_knot.run.exits import ESTIMATED
from tests.end_to_end.conftest import SMALL

MIB = 2**20


def grow(number: int) -> int:
    """Take longer, and more memory, with a larger number."""
    time.sleep(0.01 * number)
    data = bytearray(number * MIB)
    data[::4096] = b"x" * len(data[::4096])
    return number


def fail(_: int) -> int:
    """Raise."""
    raise ValueError("never mind")


@pytest.fixture
def cluster() -> Iterator[KnotCluster]:
    with KnotCluster(**SMALL) as made:
        yield made


def test_a_few_tasks_say_what_all_take(cluster: KnotCluster) -> None:
    work = [delayed(grow)(number) for number in range(1, 41)]
    forecast = cluster.estimate(delayed(sum)(work))
    grown, total = forecast.rows
    assert (grown.prefix, grown.tasks, grown.tried) == ("grow", 40, 3)
    assert grown.seconds is not None
    assert 8.2 <= grown.seconds < 12  # writing to memory takes its time on a busy machine
    assert 40 * MIB < grown.peak < 400 * MIB
    assert (total.prefix, total.median) == ("sum", None)
    assert forecast.seconds == pytest.approx(grown.seconds / 2, rel=0.3)
    assert forecast.money is None
    assert "1 task of sum" in str(forecast)
    assert cluster.jobs.unfinished == 0  # the cluster itself has run nothing
    plan = cluster.plan_of(work)
    assert plan.known == {"grow": "seen in earlier sessions"}


def heavy(_: int) -> int:
    """Have 200 MiB long enough to be seen."""
    data = bytearray(200 * MIB)
    data[::4096] = b"x" * len(data[::4096])
    time.sleep(0.5)
    return len(data)


def test_the_size_is_the_smallest_that_fits(cluster: KnotCluster) -> None:
    work = [delayed(heavy)(number) for number in range(20)]
    [row] = cluster.estimate(*work, sample=5).rows
    assert row.size is not None
    assert row.size.memory in LOCAL_STEPS
    smaller = LOCAL_STEPS[LOCAL_STEPS.index(row.size.memory) - 1]
    options = {**SMALL, "memory_retries": 0}
    with KnotCluster(**{**options, "memory": row.size.memory}) as fitting, Client(fitting):
        assert len(dask.compute(*work[:2])) == 2
    short = KnotCluster(**{**options, "memory": smaller})
    with short, Client(short), pytest.raises(JobError, match="memory"):
        dask.compute(*work[:2])


def start(number: int) -> int:
    """Take half a second longer when it is the first in its process, as what imports does."""
    if "STARTED_HERE" not in os.environ:
        time.sleep(0.5)
        os.environ["STARTED_HERE"] = "yes"
    time.sleep(0.05)
    return number


def test_what_the_first_task_of_a_job_imports_is_no_time_of_all_others(
    cluster: KnotCluster,
) -> None:
    work = [delayed(start)(number) for number in range(30)]
    forecast = cluster.estimate(*work)
    [row] = forecast.rows
    assert row.median is not None
    assert forecast.seconds is not None
    assert 0.05 <= row.median < 0.15
    assert 0.4 < row.startup < 0.8
    assert 0.5 + 30 * 0.05 / 2 < forecast.seconds < 2.5  # all of them would start for 8 seconds
    assert "start-up: the first task of start in each job takes" in str(forecast)
    plan = cluster.plan_of(work)
    assert 1.5 <= sum(stage.seconds for stage in plan.stages) < 4.5


def test_what_raises_is_said_and_keeps_nothing_from_being_estimated(cluster: KnotCluster) -> None:
    forecast = cluster.estimate(delayed(grow)(3), delayed(fail)(1), sample=1)
    assert [row.median is None for row in forecast.rows] == [False, True]
    assert "which raised ValueError('never mind')" in str(forecast)


def test_what_is_wrong_is_refused_at_once(cluster: KnotCluster) -> None:
    work = delayed(grow)(1)
    with pytest.raises(ConfigurationError, match="sample=0"):
        cluster.estimate(work, sample=0)
    with pytest.raises(ConfigurationError, match="optimize='speed'"):
        cluster.estimate(work, optimize="speed")
    with pytest.raises(TypeError, match="not a Dask collection"):
        cluster.estimate(5)


def test_a_closed_cluster_estimates_nothing() -> None:
    cluster = KnotCluster(**SMALL)
    cluster.close()
    with pytest.raises(EngineError, match="closed"):
        cluster.estimate(delayed(grow)(1))


def test_values_of_a_trial_are_there_in_a_named_run(tmp_path: Path) -> None:
    work = [delayed(grow)(number) for number in (1, 20, 40)]
    with KnotCluster(name="tried", store=tmp_path, **SMALL) as cluster, Client(cluster):
        first = cluster.estimate(*work)
        assert first.rows[0].tasks == 3
        assert "3 tasks were tried; this run keeps their values" in first.notes
        again = cluster.estimate(*work)
        assert str(again) == "nothing is left to compute"
        more = cluster.estimate(*work, delayed(grow)(30))
        assert more.rows[0].tasks == 1
        assert more.notes[0] == "3 of 4 tasks are done already"
        assert dask.compute(*work) == (1, 20, 40)
        assert "(of another client)" in str(cluster.jobs)  # nothing ran but what was tried
        assert len(cluster.jobs) == 1


def test_sizes_that_are_auto_follow(tmp_path: Path) -> None:
    options = {**SMALL, "memory": "auto", "cores": "auto", "store": tmp_path}
    work = [delayed(grow)(number) for number in (1, 2, 3, 60)]
    with KnotCluster(**options) as cluster, Client(cluster):
        cluster.estimate(*work, sample=5)
        assert dask.compute(*work) == (1, 2, 3, 60)
        said = [one.text for one in cluster.decisions]
    assert any(re.search(r"memory of jobs: \d+\.\d+ MiB: jobs of grow had", one) for one in said)


def test_a_knot_is_estimated(tmp_path: Path) -> None:
    options = {"jobs": 2, "memory": "1 GiB", "store": tmp_path, "progress": False}
    with Knot("grown", grow, **options) as knot:
        forecast = knot.estimate(iter(range(1, 31)))
        # It sleeps for 4.65 s in all, and a busy machine wakes it late: not a multiple of that.
        seconds = forecast.rows[0].seconds
        assert seconds is not None
        assert 4.16 <= seconds <= 3 * 4.65
        assert knot.jobs == []
        assert knot.estimate([]).rows == ()
        with pytest.raises(ConfigurationError, match="sample=-1"):
            knot.estimate([1], sample=-1)


SCRIPT = """
import sys, time
from dask import delayed
from dask_knot import Knot, KnotCluster
from distributed import Client

def nap(seconds):
    time.sleep(seconds)
    return seconds

if __name__ == "__main__":
    if sys.argv[1] == "knot":
        with Knot("napping", nap, store=sys.argv[2], jobs=2) as knot:
            knot.map([0.1] * 30).result()
    elif sys.argv[1] == "cluster":
        with KnotCluster(jobs=2, dashboard_address=None) as cluster, Client(cluster) as client:
            try:
                client.gather(client.map(nap, [0.1] * 30, pure=False))
            except BaseException:
                pass
    print("and went on")
"""


@pytest.mark.parametrize("kind", ["cluster", "knot", "nothing"])
def test_a_script_is_estimated_up_to_its_first_result(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    store = tmp_path / "store"
    command = [sys.executable, "-m", "dask", "knot", "estimate", str(path), kind, str(store)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if kind == "nothing":
        assert ended.returncode == 1
        assert "finished without computing anything with dask_knot" in ended.stderr
        return
    assert ended.returncode == 0, ended.stderr
    assert "went on" not in ended.stdout
    assert re.search(r"^napp?i?n?g? +30 +3 ", ended.stdout, re.MULTILINE)
    assert "time: about" in ended.stdout
    assert ESTIMATED not in (0, 1, 2)
    if kind == "knot":  # no map is noted
        with Knot.open("napping", store=store, jobs=2) as knot:
            assert knot.jobs == []
