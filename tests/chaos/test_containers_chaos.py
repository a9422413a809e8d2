"""Random graphs in containers, as AWS refuses, takes machines away, and objects are harmed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from threading import Timer
from typing import Any

import pytest
from distributed import Client, WorkerPlugin

from dask_knot import KnotCluster
from tests.chaos import graphs, tasks
from tests.chaos.edge import harmed, kind_of
from tests.end_to_end.containers import account, machine, open_aws, settings
from tests.rig.machine import Rig

__all__ = ["account", "machine", "open_aws", "settings"]

pytestmark = pytest.mark.timeout(600)  # the first one builds the image of the jobs

#: What the image of the jobs has the packages for.
KINDS = ("array", "bag", "delayed", "futures")


def bring_tasks() -> WorkerPlugin:
    """Make a plugin that gives jobs the functions of graphs: their image has no tests in it."""
    name, source = tasks.__name__, Path(tasks.__file__).read_text()

    class Brings(WorkerPlugin):  # type: ignore[misc]
        def setup(self, worker: Any) -> None:
            import sys
            from types import ModuleType

            for folder in ("tests", "tests.chaos"):
                sys.modules.setdefault(folder, ModuleType(folder))
            module = sys.modules[name] = ModuleType(name)
            exec(source, vars(module))

    return Brings()


def throttle(machine: Rig, cluster: KnotCluster, random: Random) -> None:
    """Let Batch and S3 refuse some of the next requests."""
    machine.refuse("batch", "TooManyRequestsException", random.randint(1, 4))
    machine.refuse("s3", "SlowDown", random.randint(1, 8))


def reclaim(machine: Rig, cluster: KnotCluster, random: Random) -> None:
    """Take the machines of all running jobs away, as EC2 does with Spot."""
    with closing(machine.client("batch")) as batch:
        for row in cluster.jobs:
            running = batch.list_jobs(arrayJobId=row.job_id)["jobSummaryList"]
            for job in [one["jobId"] for one in running] or [row.job_id]:
                with suppress(OSError):  # it has ended meanwhile
                    machine.reclaim(job)


def kill(machine: Rig, cluster: KnotCluster, random: Random) -> None:
    """Kill a container."""
    import docker

    with closing(machine.docker()) as engine:
        for container in engine.containers.list()[:1]:
            with suppress(docker.errors.APIError):  # it has ended meanwhile
                container.kill()


def harm(machine: Rig, cluster: KnotCluster, random: Random, how: str) -> int:
    """Harm a held object of values or a manifest in the bucket."""
    bucket, _, prefix = str(cluster.settings.store).removeprefix("s3://").partition("/")
    with closing(machine.client("s3")) as s3:
        found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        names = [one["Key"] for one in found]
        names = [n for n in names if kind_of(n[len(prefix) :].strip("/")) in ("data", "manifests")]
        for name in random.sample(names, min(len(names), 2)):
            data = s3.get_object(Bucket=bucket, Key=name)["Body"].read()
            changed = harmed(data, how, random.randrange(2**32))
            if changed is None:
                s3.delete_object(Bucket=bucket, Key=name)
            else:
                s3.put_object(Bucket=bucket, Key=name, Body=changed)
    return len(names)


def check(cluster: KnotCluster, case: graphs.Case, between: Callable[[], None]) -> None:
    """Compute a graph, and compare."""
    with Client(cluster) as client:
        client.register_plugin(bring_tasks(), name="tasks")
        found = graphs.attempt(lambda: case.run(client, between))
    expected = graphs.attempt(case.expect)
    assert graphs.same(found, expected), found


@pytest.mark.parametrize("fault", [throttle, reclaim, kill])
def test_a_fault_while_a_graph_is_computed(
    fault: Callable[..., None], open_aws: Callable[..., KnotCluster], machine: Rig
) -> None:
    cluster, random = open_aws(), Random(fault.__name__)
    timers = [Timer(random.uniform(0.5, 4), fault, (machine, cluster, random)) for _ in range(2)]
    for timer in timers:
        timer.start()
    case = graphs.make(random.randrange(1000), 0.1, random.choice(KINDS))
    check(cluster, case, lambda: fault(machine, cluster, random))
    for timer in timers:
        timer.cancel()
        timer.join()


@pytest.mark.parametrize("how", ["flip", "delete"])
def test_objects_that_are_held_are_harmed(
    how: str, open_aws: Callable[..., KnotCluster], machine: Rig
) -> None:
    cluster, random = open_aws(), Random(how)
    struck: list[Any] = []
    case = graphs.make(random.randrange(1000), 0.0, "delayed")
    check(cluster, case, lambda: struck.append(harm(machine, cluster, random, how)))
    assert struck[0]
