"""What Dask shows as workers: the jobs that may run at once."""

from __future__ import annotations

from typing import Any

import pytest

from dask_knot.cluster.workers import as_jobs
from dask_knot.planning import Resources

SIZE = Resources(vcpus=2, memory=2**30)
GATEWAY = {"type": "Worker", "id": "gateway", "name": "gateway", "nthreads": 6, "metrics": {}}


def identity(**workers: Any) -> dict[str, Any]:
    return {"n_workers": len(workers), "total_threads": 6, "total_memory": 0, "workers": workers}


@pytest.mark.parametrize(("shown", "details"), [(-1, 3), (0, 0), (2, 2), (5, 3)])
def test_a_worker_for_each_job(shown: int, details: int) -> None:
    found = as_jobs(identity(here=GATEWAY), SIZE, 3, shown)
    assert found["n_workers"] == 3
    assert found["total_memory"] == 3 * 2**30
    assert list(found["workers"]) == ["here", "here#1", "here#2"][:details]
    assert all(worker["nthreads"] == 2 for worker in found["workers"].values())


def test_no_gateway_is_no_worker() -> None:
    assert as_jobs(identity(), SIZE, 3) == identity()
