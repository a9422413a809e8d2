"""Others' rules on the simulated fleet: how many jobs, what they read, what comes when."""

from __future__ import annotations

import pytest

from benchmarks.simulate.bound import bound_of
from benchmarks.simulate.maps import plain_map, reader
from benchmarks.simulate.numbers import Numbers
from benchmarks.simulate.policies import PEERS, run_policy
from benchmarks.simulate.shapes import Shape
from benchmarks.simulate.workloads import WORKLOADS
from benchmarks.simulate.world import Outcome, Workload, World
from dask_knot.tracking.events import Graph

ON_BATCH = ("job-per-element", "array-per-level", "lithops")


def run(policy: str, workload: Workload, slots: int = 16, spot: bool = False) -> Outcome:
    return run_policy(policy, workload, World(slots=slots, spot=spot, seed=3))


def a_map(count: int, seconds: float = 30.0, argument_bytes: int = 0) -> Workload:
    return plain_map("map", "map", [seconds] * count, 100, argument_bytes)


def two_levels(count: int) -> Workload:
    """Return so many tasks and one that reads them all."""
    first = [f"part-{n}" for n in range(count)]
    tasks = {key: reader(key, []) for key in first} | {"all": reader("all", first)}
    seconds = dict.fromkeys(tasks, 20.0)
    return Workload("levels", Graph(tasks, ["all"]), seconds, dict.fromkeys(tasks, 1_000))


@pytest.mark.parametrize("policy", PEERS)
@pytest.mark.parametrize("name", ["fig2-64", "two-steps", "tall-svd", "arguments"])
def test_every_task_runs_once_and_after_its_inputs(policy: str, name: str) -> None:
    workload = WORKLOADS[name](16, 1)
    outcome = run(policy, workload)
    shape = Shape(workload, Numbers())
    assert outcome.tasks == len(workload.seconds)
    assert outcome.vcpu_seconds_used == pytest.approx(sum(workload.seconds.values()), rel=0.01)
    assert outcome.vcpu_seconds_paid > outcome.vcpu_seconds_used
    if policy in ON_BATCH:
        bound = bound_of(shape, 16)
        assert outcome.makespan > max(bound.share, bound.chain - Numbers().boot_longest)


@pytest.mark.parametrize("policy", PEERS)
def test_the_same_seed_gives_the_same_outcome(policy: str) -> None:
    workload = WORKLOADS["lognormal"](16, 1)
    assert run(policy, workload) == run(policy, workload)


@pytest.mark.parametrize(
    ("policy", "count", "jobs", "submissions"),
    [
        ("job-per-element", 40, 40, 1),
        ("array-per-level", 40, 40, 1),
        ("lithops", 40, 14, 1),  # chunks of 3, as 16 workers may run
        ("lithops", 10, 10, 1),
        ("job-per-element", 10_001, 10_001, 2),
    ],
)
def test_jobs_of_a_map(policy: str, count: int, jobs: int, submissions: int) -> None:
    outcome = run(policy, a_map(count, 1.0))
    assert outcome.jobs == jobs
    assert submissions <= outcome.api_calls
    if policy == "lithops":
        assert outcome.api_calls == submissions  # it looks into the store


def test_every_child_of_cloudknot_reads_the_whole_input() -> None:
    workload = a_map(20, argument_bytes=1_000_000)
    whole = 20 * 1_000_120
    assert run("job-per-element", workload).nbytes["read"] == 20 * whole
    for policy in ("array-per-level", "lithops"):
        assert run(policy, workload).nbytes["read"] == whole


def test_the_next_level_of_cloudknot_waits_for_the_client() -> None:
    ahead, waits = run("array-per-level", two_levels(8)), run("job-per-element", two_levels(8))
    assert ahead.jobs == waits.jobs == 9
    assert ahead.makespan != waits.makespan


def test_chunks_of_neighbors_suffer_where_long_tasks_are_neighbors() -> None:
    workload = WORKLOADS["sorted"](16, 1)
    assert run("lithops", workload).makespan > 3 * run("job-per-element", workload).makespan


def test_a_live_cluster_starts_its_scheduler_and_then_its_workers() -> None:
    outcome = run("dask-fargate", a_map(1, 10.0))
    assert outcome.makespan == pytest.approx(60 + 60 + 10, abs=1)
    assert run("dask-ec2", a_map(1, 10.0)).makespan > 2 * Numbers().boot_shortest + 10


def test_the_scheduler_of_a_live_cluster_does_one_task_after_the_other() -> None:
    tiny = run("dask-fargate", a_map(20_000, 0.0001), slots=256)
    assert tiny.makespan > 20_000 * 0.0005


@pytest.mark.parametrize("policy", ON_BATCH)
def test_reclaimed_machines_cost_time(policy: str) -> None:
    workload = a_map(64, 3_600.0)
    calm, spot = run(policy, workload), run(policy, workload, spot=True)
    assert spot.makespan >= calm.makespan
    assert spot.jobs == calm.jobs
