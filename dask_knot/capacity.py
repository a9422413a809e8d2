"""The capacity that Dask shows: a worker for each job that may run at once."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from dask_knot.planning import Resources


def as_jobs(
    identity: Mapping[str, Any], size: Resources, jobs: int, shown: int = -1
) -> dict[str, Any]:
    """Replace the gateway in what a scheduler says of itself by the jobs that it stands for.

    Programs read from there how much may run at once, and other processes wait until there are
    enough workers: `Client.wait_for_workers`. The first job has the gateway's address.

    Parameters
    ----------
    identity : mapping
        What `Scheduler.identity` says.
    size : Resources
        What one job has.
    jobs : int
        How many may run at once.
    shown : int
        For so many workers details are wanted; -1: for all.
    """
    memory = size.memory or 0
    entries: dict[str, Any] = {}
    for address, gateway in islice(identity["workers"].items(), 1):
        job = {"type": "Job", "nthreads": int(size.vcpus), "memory_limit": memory, "nanny": None}
        for number in range(jobs if shown < 0 else min(shown, jobs)):
            key = f"{address}#{number}" if number else address
            entries[key] = {**gateway, **job, "id": number, "name": number}
    totals = {"n_workers": jobs, "total_memory": jobs * memory} if identity["n_workers"] else {}
    return {**identity, **totals, "workers": entries}
