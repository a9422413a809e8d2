"""What is known of how long tasks take: said, seen here, seen by earlier clusters, or by Dask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import pytest
from dask import delayed
from distributed import Client

from dask_knot import KnotCluster
from dask_knot.errors import ConfigurationError
from dask_knot.tracking.durations import KnownFrom
from tests.end_to_end.conftest import until

SOURCE = """
def helper(x):
    return x{change}

def work(x):
    import time
    time.sleep(0.05)
    return helper(x)
"""


def written(change: str = "") -> Callable[[int], int]:
    """Write a function of a notebook, as it is or with another helper."""
    known: dict[str, Any] = {"__name__": "__main__"}
    exec(SOURCE.format(change=change), known)
    found: Callable[[int], int] = known["work"]
    return found


def graph(work: Callable[[int], int]) -> list[Any]:
    """Make some tasks of one prefix, which have never run."""
    return [delayed(work)(n, dask_key_name=f"work-{n}") for n in range(12)]


def known(cluster: KnotCluster, collections: Any) -> str | None:
    """Tell where it is known from how long these tasks take."""
    found: str | None = cluster.plan_of(collections).known.get("work")
    return found


@pytest.mark.parametrize("name", [None, "profiled"])
def test_the_next_cluster_knows_what_tasks_take_until_they_are_edited(
    open_cluster: Callable[..., KnotCluster], tmp_path: Path, name: str | None
) -> None:
    settings = {"store": str(tmp_path / "store"), "name": name, "jobs": 2, "reuse": False}
    with open_cluster(**settings) as cluster, Client(cluster):
        assert known(cluster, graph(written())) is None
        assert dask.compute(graph(written())) == ([*range(12)],)
        until(lambda: known(cluster, graph(written())) == KnownFrom.SESSION.value)
    with open_cluster(**settings) as cluster, Client(cluster):
        plan = cluster.plan_of(graph(written()))
        assert plan.known["work"] == KnownFrom.PROFILE.value
        assert 0.25 <= plan.worst <= 5.0  # 12 tasks of 50 ms
        assert known(cluster, graph(written(" + 1"))) is None
        # What this cluster sees itself goes before.
        dask.compute(graph(written()))
        until(lambda: known(cluster, graph(written())) == KnownFrom.SESSION.value)


def test_a_new_named_run_knows_what_runs_without_a_name_have_left(
    open_cluster: Callable[..., KnotCluster], tmp_path: Path
) -> None:
    settings = {"store": str(tmp_path / "store"), "jobs": 2}
    with open_cluster(**settings) as cluster, Client(cluster):
        dask.compute(graph(written()))
    with open_cluster(**settings, name="new") as cluster, Client(cluster):
        assert known(cluster, graph(written())) == KnownFrom.PROFILE.value
        assert known(cluster, graph(written(" + 1"))) is None


def test_what_is_kept_in_a_store_is_no_run_and_does_not_grow(
    open_cluster: Callable[..., KnotCluster], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    for _ in range(2):
        with open_cluster(store=str(store), jobs=2) as cluster, Client(cluster):
            dask.compute(graph(written()))
        assert [path.name for path in store.iterdir()] == ["_costs"]
    assert len([*(store / "_costs").iterdir()]) == 2


def test_what_a_user_says_reaches_the_plan(cluster: KnotCluster, client: Client) -> None:
    with dask.annotate(knot={"seconds": "1 hour"}):
        said = graph(written())
    plan = cluster.plan_of(said)
    assert plan.known["work"] == KnownFrom.SAID.value
    assert plan.best >= 3600
    with dask.annotate(knot={"seconds": 0.001}):
        futures = client.map(written(), range(12), key="work")
    assert client.gather(futures) == [*range(12)]
    assert len(cluster.jobs[-1].counts) >= 1
    with (
        dask.annotate(knot={"seconds": "soon"}),
        pytest.raises(ConfigurationError, match=r"knot.seconds='soon'"),
    ):
        client.submit(written(), 1, key="work-wrong").result()


def test_what_is_said_decides_how_wide_work_is(open_cluster: Callable[..., KnotCluster]) -> None:
    with open_cluster(jobs=4) as cluster, Client(cluster):
        wide = cluster.plan_of(graph(written()))
        with dask.annotate(knot={"seconds": 1e-6}):
            narrow = cluster.plan_of(graph(written()))
        with dask.annotate(knot={"seconds": 3600}):
            long = cluster.plan_of(graph(written()))
    assert narrow.jobs == 1
    assert wide.jobs == long.jobs == 8  # two for each of four slots


def test_the_defaults_of_dask_are_used(open_cluster: Callable[..., KnotCluster]) -> None:
    with dask.config.set({"distributed.scheduler.default-task-durations": {"work": "1 hour"}}):
        cluster = open_cluster(jobs=2)
    with cluster, Client(cluster):
        plan = cluster.plan_of(graph(written()))
        assert plan.known["work"] == KnownFrom.DASK.value
        assert plan.best >= 3600
