"""Fixtures that tests of several rooms share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dask
import pytest
from distributed import Client, LocalCluster

from tests.rig.fixtures import in_rig, job_image, rig

__all__ = ["in_rig", "job_image", "project", "rig", "threads_client"]


@pytest.fixture(scope="session")
def project() -> Path:
    """Return the folder of the project: README, examples and docs stand in it."""
    return Path(__file__).parent.parent


@pytest.fixture
def threads_client() -> Iterator[Client]:
    """Give a client of plain Dask in this process, to compare with."""
    with (
        dask.config.set({"distributed.admin.system-monitor.gil.enabled": False}),
        LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
