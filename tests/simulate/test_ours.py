"""A real session on the simulated Batch: what must hold of every run, and twice the same."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from dask._task_spec import Task, TaskRef
from dask.typing import Key
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from benchmarks.simulate.bound import bound_of
from benchmarks.simulate.numbers import Numbers
from benchmarks.simulate.ours import run_ours
from benchmarks.simulate.shapes import Shape
from benchmarks.simulate.world import Workload, World
from dask_knot.tracking.events import Graph

SMALL = 1000
#: A run takes a tenth of a second: shrinking would take minutes.
FAST = (Phase.explicit, Phase.reuse, Phase.generate)


def workload(
    reads: Mapping[str, Sequence[str]], seconds: Mapping[Key, float], nbytes: int = SMALL
) -> Workload:
    """Make a workload of what tasks read; what nobody reads is wanted."""
    tasks = {key: Task(key, sum, *(TaskRef(one) for one in some)) for key, some in reads.items()}
    read = {one for some in reads.values() for one in some}
    wanted = [key for key in tasks if key not in read]
    return Workload("drawn", Graph(tasks, wanted), seconds, dict.fromkeys(tasks, nbytes))


def plain(count: int, seconds: float, nbytes: int = SMALL) -> Workload:
    """Make a map of equal tasks."""
    reads: dict[str, list[str]] = {f"plain-{n}": [] for n in range(count)}
    return workload(reads, dict.fromkeys(reads, seconds), nbytes)


def shuffled(width: int, seconds: float, nbytes: int) -> Workload:
    """Make two levels: everything reads everything."""
    first: dict[str, list[str]] = {f"first-{n}": [] for n in range(width)}
    second = {f"second-{n}": [*first] for n in range(width)}
    reads = {**first, **second}
    return workload(reads, dict.fromkeys(reads, seconds), nbytes)


@st.composite
def workloads(draw: st.DrawFn) -> Workload:
    """Draw a graph and what its tasks take."""
    count = draw(st.integers(1, 30))
    reads: dict[str, list[str]] = {}
    for number in range(count):
        some = draw(st.sets(st.sampled_from([*reads]), max_size=3)) if reads else set()
        reads[f"{'abc'[number % 3]}-{number}"] = sorted(some)
    seconds = {key: draw(st.sampled_from([0.01, 5.0, 300.0])) for key in reads}
    return workload(reads, seconds, draw(st.sampled_from([100, 200_000])))


@given(workloads(), st.sampled_from([2, 8]), st.booleans(), st.integers(0, 3))
@settings(max_examples=25, deadline=None, phases=FAST)
def test_whatever_comes(work: Workload, slots: int, known: bool, seed: int) -> None:
    world = World(slots=slots, seed=seed)
    made = run_ours(work, world, known)
    assert made.tasks == len(work.seconds)  # each once
    assert made.vcpu_seconds_used == pytest.approx(sum(work.seconds.values()))
    assert made.vcpu_seconds_paid >= made.vcpu_seconds_used
    assert made.makespan >= bound_of(Shape(work, world.numbers), slots).share
    assert made.api_calls >= made.jobs / 10_000


@given(workloads(), st.integers(0, 3))
@settings(max_examples=10, deadline=None, phases=FAST)
def test_machines_that_go_cost_time_and_lose_nothing(work: Workload, seed: int) -> None:
    world = World(Numbers(reclaims=2.0), slots=4, spot=True, seed=seed)
    made = run_ours(work, world)
    assert made.tasks >= len(work.seconds)
    assert made.vcpu_seconds_paid >= made.vcpu_seconds_used


def test_two_runs_are_the_same() -> None:
    work, world = shuffled(12, 30.0, 200_000), World(slots=4, spot=True, seed=3)
    assert run_ours(work, world) == run_ours(work, world)


def test_hashes_change_nothing() -> None:
    script = (
        "from tests.simulate.test_ours import *;"
        "print(run_ours(shuffled(12, 30.0, 200_000), World(slots=4, seed=1)))"
    )
    told = {_python(script, hash_seed) for hash_seed in ("1", "2")}
    assert len(told) == 1


def _python(script: str, hash_seed: str) -> str:
    environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_another_seed_is_another_day() -> None:
    work = plain(4, 60.0)
    days = {run_ours(work, World(slots=4, seed=seed)).makespan for seed in range(4)}
    assert len(days) == 4


@pytest.mark.parametrize(
    "varied",
    [
        {"boot_shortest": 170.0, "boot_usual": 175.0},
        {"dispatch_rate": 0.1},
        {"client_up": 1000.0},
        {"s3_rate": 10_000.0, "job_rate": 10_000.0},
    ],
)
def test_slower_worlds_take_longer(varied: Mapping[str, Any]) -> None:
    work = shuffled(8, 10.0, 100_000)
    usual = run_ours(work, World(slots=8)).makespan
    other = run_ours(work, World(Numbers(**varied), slots=8)).makespan
    assert other > usual


def test_large_values_are_read_and_small_ones_come_with_manifests() -> None:
    large, small = (run_ours(shuffled(8, 10.0, size), World(slots=8)) for size in (10**6, SMALL))
    # Eight values of the first level are written once, and read by whoever needs them.
    assert 16 * 10**6 <= large.nbytes["written"] < 17 * 10**6
    assert large.nbytes["read"] > 8 * 10**6
    assert small.nbytes["written"] < 200_000


def test_settings_can_be_varied() -> None:
    work = plain(64, 1.0)
    narrow = run_ours(work, World(slots=8), known=True)
    wide = run_ours(work, World(slots=8), known=True, overrides={"target": 1.0, "job_start": 0.1})
    assert wide.jobs > narrow.jobs


def test_what_nobody_can_read_is_no_outcome() -> None:
    reads = {"a-1": ["nowhere"]}
    with pytest.raises(RuntimeError, match="a-1"):
        run_ours(workload(reads, {"a-1": 1.0}), World(slots=2))
