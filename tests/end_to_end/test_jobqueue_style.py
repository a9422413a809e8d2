"""What scripts for dask-jobqueue do: scale, adapt, wait for workers, look at jobs, configure."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from dask_knot import KnotCluster
from dask_knot.cluster.discovery import RunningCluster
from dask_knot.errors import ConfigurationError, EngineError
from dask_knot.runs.notices import open_clusters
from tests.end_to_end.conftest import SMALL, until
from tests.end_to_end.tasks import inc, wait_for


@pytest.fixture(scope="module")
def cluster() -> Iterator[KnotCluster]:
    """Give a cluster of jobs with two cores and one GiB: one that tests may scale."""
    with KnotCluster(**{**SMALL, "cores": 2}) as cluster:
        yield cluster


@pytest.mark.parametrize(
    ("asked", "jobs"),
    [
        ({"n": 3}, 3),
        ({"jobs": 4}, 4),
        ({"cores": 7}, 4),
        ({"memory": "5 GiB"}, 5),
        ({"cores": 4, "memory": 2**31}, 2),
        ({"cores": 4, "memory": "3.5 GB"}, 4),
    ],
)
def test_scale(cluster: KnotCluster, client: Client, asked: dict[str, Any], jobs: int) -> None:
    cluster.scale(**asked)
    client.wait_for_workers(jobs)
    assert len(client.scheduler_info()["workers"]) == len(cluster.plan) == jobs
    assert sum(client.nthreads().values()) == 2 * jobs


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({}, r"scale\(10\)"),
        ({"n": 0}, "only while they have work"),
        ({"jobs": -1}, "of at least 1"),
        ({"n": 1.5}, "whole number"),
        ({"n": 10**9}, "at most 100,000 jobs"),
        ({"memory": "500 PiB"}, "at most 100,000 jobs"),
        ({"cores": "many"}, "whole number"),
        ({"memory": "lots"}, "4 GiB"),
    ],
)
def test_scale_refuses_nonsense(cluster: KnotCluster, asked: dict[str, Any], text: str) -> None:
    before = cluster.plan
    with pytest.raises(ConfigurationError, match=text):
        cluster.scale(**asked)
    assert cluster.plan == before


@pytest.mark.parametrize(
    ("limits", "jobs"),
    [
        ({}, 2),
        ({"minimum": 1, "maximum": 5, "interval": "10 s"}, 5),
        ({"maximum_jobs": 3}, 3),
        ({"maximum_cores": 9}, 4),
        ({"maximum_memory": "3.5 GiB", "minimum_cores": 3}, 3),
        ({"minimum": 0, "maximum": float("inf")}, 2),
        ({"minimum_jobs": 6}, 6),
    ],
)
def test_adapt(cluster: KnotCluster, limits: dict[str, Any], jobs: int) -> None:
    cluster.scale(2)
    adaptation = cluster.adapt(**limits)
    assert len(cluster.plan) == adaptation.maximum == jobs
    adaptation.stop()


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"minimum": 4, "maximum": 3}, "at least 4 and at most 3"),
        ({"maximum": 0}, "at least 1"),
        ({"minimum": -1}, "of at least 0"),
        ({"maximum_memory": "0.5 GiB"}, "one job of 2 vCPU and 1.00 GiB"),
        ({"maximum_cores": 1}, "one job"),
    ],
)
def test_adapt_refuses_nonsense(cluster: KnotCluster, limits: dict[str, Any], text: str) -> None:
    before = cluster.plan
    with pytest.raises(ConfigurationError, match=text):
        cluster.adapt(**limits)
    assert cluster.plan == before


def test_waiting_for_workers(cluster: KnotCluster, client: Client) -> None:
    cluster.scale(3)
    client.wait_for_workers(3)
    cluster.wait_for_workers(3, timeout=1)
    with pytest.raises(ConfigurationError, match=r"cluster.scale\(4\)"):
        client.wait_for_workers(4)  # Dask would wait for ever


def test_a_client_of_the_address_waits_for_workers(cluster: KnotCluster) -> None:
    async def wait_here() -> None:
        # It knows no cluster: it counts what the scheduler shows.
        async with Client(cluster.scheduler_address, asynchronous=True) as client:
            await client.wait_for_workers(2, timeout=10)

    cluster.scale(2)
    asyncio.run(wait_here())


def test_scaling_in_an_event_loop_need_not_be_awaited() -> None:
    async def scale() -> None:
        async with KnotCluster(**SMALL, asynchronous=True) as cluster:
            cluster.scale(3)
            assert len(cluster.plan) == 3
            await cluster.scale(4)
            assert len(cluster.plan) == 4
            assert cluster.adapt(maximum=5).maximum == len(cluster.plan) == 5
            async with Client(cluster, asynchronous=True) as client:
                await client.wait_for_workers(5)

    asyncio.run(scale())


def test_tasks_may_ask_for_what_was_scaled_up(open_cluster: Callable[..., KnotCluster]) -> None:
    cluster = open_cluster(jobs=1)
    with Client(cluster) as client:
        cluster.scale(2)
        assert client.submit(inc, 1, resources={"CPU": 2}).result() == 2


def test_what_is_planned_requested_and_observed(
    cluster: KnotCluster, client: Client, tmp_path: Path
) -> None:
    cluster.scale(2)
    until(lambda: not cluster.requested)
    assert (cluster.plan, cluster.observed) == ({0, 1}, set())
    gate = tmp_path / "gate"
    future = client.submit(wait_for, str(gate))
    until(lambda: cluster.observed == {0})
    assert cluster.requested == {0}
    gate.touch()
    future.result()
    until(lambda: not cluster.requested)


def test_job_script(cluster: KnotCluster) -> None:
    script = json.loads(cluster.job_script())
    needs = script["RegisterJobDefinition"]["containerProperties"]["resourceRequirements"]
    assert {"type": "VCPU", "value": "2"} in needs
    assert script["SubmitJob"]["arrayProperties"] == {"size": 2}


def run(program: str, **environment: str) -> str:
    """Run a program as a user does, and give what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_configuration_file_is_put_in_place(tmp_path: Path) -> None:
    show = (
        "from dask_knot import KnotCluster\nfrom dask_knot.settings.settings import resolve\n"
        "print(resolve({}).attempts)"
    )
    assert run(show, DASK_CONFIG=str(tmp_path)) == "3"
    file = tmp_path / "knot.yaml"
    text = file.read_text()
    assert not [line for line in text.splitlines() if line.strip() and line[0] != "#"]
    changed = text.replace("# knot:", "knot:").replace("#   attempts: 3", "  attempts: 5")
    assert changed != text
    file.write_text(changed)
    assert run(show, DASK_CONFIG=str(tmp_path)) == "5"
    assert file.read_text() == changed


def test_a_home_that_cannot_be_written() -> None:
    nowhere = {"DASK_CONFIG": "/proc/nowhere", "HOME": "/proc/nowhere", "XDG_STATE_HOME": ""}
    assert run(f"from dask_knot import KnotCluster\n{OPEN_AND_ADD}", **nowhere) == "3"


OPEN_AND_ADD = """
from distributed import Client
with KnotCluster(jobs=1, dashboard_address=None) as cluster, Client(cluster) as client:
    print(client.submit(sum, [1, 2]).result())
"""


def test_jobs_put_no_file_in_place(tmp_path: Path) -> None:
    run("import dask_knot.job, dask_knot", DASK_CONFIG=str(tmp_path / "config"))
    assert not (tmp_path / "config" / "knot.yaml").exists()


def test_entry_points(project: Path, cluster: KnotCluster) -> None:
    setup = ConfigParser()
    setup.read(project / "setup.cfg")
    found = {}
    for group in ("dask_cli", "dask_cluster_discovery"):
        name, target = setup["options.entry_points"][group].strip().split(" = ")
        module, _, attribute = target.partition(":")
        found[group] = getattr(import_module(module), attribute)
        assert name == "knot"
    assert found["dask_cli"].name == "knot"

    async def names() -> dict[str, type]:
        return {name: kind async for name, kind in found["dask_cluster_discovery"]()}

    assert asyncio.run(names())[cluster.name] is RunningCluster


def test_joining_a_cluster_by_its_name(open_cluster: Callable[..., KnotCluster]) -> None:
    cluster = open_cluster()
    joined = RunningCluster.from_name(cluster.name)
    with Client(joined) as client:
        assert client.submit(inc, 1).result() == 2
    with pytest.raises(EngineError, match=r"cluster.scale\(3\) there"):
        joined.scale(3)
    with pytest.raises(EngineError, match="there"):
        joined.adapt(maximum=3)
    joined.close()  # by Dask's custom this ends the cluster itself
    until(lambda: cluster.status.name == "closed")
    assert cluster.name not in open_clusters()
    with pytest.raises(ConfigurationError, match=cluster.name):
        RunningCluster.from_name(cluster.name)
