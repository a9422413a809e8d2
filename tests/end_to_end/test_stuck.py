"""A job that waits and can never run is an error, not silence."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import dask
import pytest
from distributed import Client

from dask_knot import KnotCluster
from dask_knot.errors import JobStartError
from tests.end_to_end.conftest import until
from tests.end_to_end.tasks import wait_for


def test_a_job_that_no_longer_fits_says_so(
    open_cluster: Callable[..., KnotCluster], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with dask.config.set({"knot.local.stuck-after": "100ms"}):
        cluster = open_cluster(jobs=2)
    with Client(cluster) as client, caplog.at_level(logging.WARNING, "dask_knot"):
        busy = client.submit(wait_for, str(gate))
        until(lambda: any(row.counts.get("RUNNING") for row in cluster.jobs))
        with dask.annotate(resources={"CPU": 2}):
            large = client.submit(sum, [1, 2], pure=False)
        until(lambda: len(cluster.jobs) == 2)
        cluster.scale(jobs=1)
        gate.touch()
        assert busy.result(timeout=60) == str(gate)
        small = client.submit(sum, [3, 4], pure=False)
        with pytest.raises(JobStartError, match="no machine of the compute environment"):
            large.result(timeout=60)
        assert small.result(timeout=60) == 7
        assert any("JOB_RESOURCE_REQUIREMENT" in line for line in caplog.messages)
        assert any(
            "waits" in line for line in cluster.get_logs(workers=False)["Cluster"].split("\n")
        )
        cluster.scale(jobs=2)
        client.retry(large)
        assert large.result(timeout=60) == 3
