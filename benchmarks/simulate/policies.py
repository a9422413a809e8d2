"""All policies by name: who may run a workload on the simulated fleet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.simulate.livedask import run_dask_on_ec2, run_dask_on_fargate
from benchmarks.simulate.peers import run_array_per_level, run_job_per_element, run_lithops
from benchmarks.simulate.world import Outcome, Workload, World

OURS = "ours"
JOB_PER_ELEMENT = "job-per-element"

PEERS: Mapping[str, Callable[[Workload, World], Outcome]] = {
    JOB_PER_ELEMENT: run_job_per_element,
    "array-per-level": run_array_per_level,
    "lithops": run_lithops,
    "dask-ec2": run_dask_on_ec2,
    "dask-fargate": run_dask_on_fargate,
}
POLICIES = (OURS, *PEERS)


def run_policy(
    name: str,
    workload: Workload,
    world: World,
    is_known: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> Outcome:
    """Run a workload by a policy.

    Parameters
    ----------
    is_known : bool
        Whether durations are known, by key prefix, from an earlier run: only we ask.
    overrides : mapping of str to Any, optional
        Settings of ours, by the names of the fields of `Tempo`.
    """
    if name != OURS:
        return PEERS[name](workload, world)
    # Imported here: figures of peers, and tests of them, need no session.
    from benchmarks.simulate.ours import run_ours

    return run_ours(workload, world, known=is_known, overrides=overrides or {})
