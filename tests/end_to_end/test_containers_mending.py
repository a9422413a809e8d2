"""A shard in a container on the emulated AWS hands over what it hasn't begun."""

from __future__ import annotations

from collections.abc import Callable

import dask
import pytest
from dask._task_spec import Task
from distributed import Client

from dask_knot import KnotCluster
from tests.end_to_end.containers import account, machine, open_aws, settings

__all__ = ["account", "machine", "open_aws", "settings"]

pytestmark = pytest.mark.timeout(600)

TASKS = 10
#: What is said of the tasks is wrong; containers start in a second or two here.
WRONG = {
    "distributed.scheduler.default-task-durations": {"load": "1us"},
    "knot.aws.job-start": "1s",
    "knot.aws.poll-fastest": "200ms",
    "knot.aws.poll-slowest": "500ms",
}


def test_what_a_container_has_not_begun_is_run_by_another(
    open_aws: Callable[..., KnotCluster],
) -> None:
    def load(number: int) -> tuple[int, str]:
        import os
        import time

        time.sleep(4)
        return number, os.environ["AWS_BATCH_JOB_ID"]

    with dask.config.set(WRONG):
        cluster = open_aws(part_interval=0.5)
        keys = [f"load-{n}" for n in range(TASKS)]
        with Client(cluster) as client:
            found = client.get({key: Task(key, load, n) for n, key in enumerate(keys)}, keys)
        assert [number for number, _ in found] == list(range(TASKS))
        said = "\n".join(one.text for one in cluster._lifetime.opened.decisions)
        assert "has handed over" in said
        assert len({job for _, job in found}) > 2  # more than what was planned at first
        done = sum(
            tally.done.total() for tally in cluster._lifetime.opened.progress.tallies().values()
        )
        assert done == TASKS  # each once
