"""Fixtures that tests of several rooms share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dask
import pytest
from distributed import Client, LocalCluster

from tests import workers
from tests.rig.fixtures import in_rig, job_image, rig

__all__ = ["in_rig", "job_image", "project", "rig", "threads_client"]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Don't even import what the fast loop leaves out: it is a part of its time."""
    is_fast = config.option.markexpr == "not slow" and collection_path.is_file()
    return True if is_fast and workers.is_slow(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, and mark what is slow."""
    workers.sort_and_mark(items)


@pytest.hookimpl(optionalhook=True)  # without pytest-xdist nobody asks
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Deal out files, not single tests."""
    return workers.dealer(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """See that a file leaves Dask without a client, as others find it then."""
    yield
    if nextitem is None or nextitem.path != item.path:
        left = dask.config.get("scheduler", None)
        dask.config.set(scheduler=None)
        assert left is None, f"clients of {item.path.name} have left the scheduler {left!r} behind"


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
