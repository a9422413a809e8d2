"""What has to be read counts as work, and what nobody knows the size of may take any time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dask.typing import Key

from dask_knot.planning import Cost, Limits, Plan, PlanRequest, make_plan

from .graphs import Dependencies, check_plan, widths

#: The numbers of AWS.
AWS = Limits(16, shards_per_slot=2, target_seconds=240, job_start_seconds=60, bandwidth=100_000_000)
CHUNK = 100_000_000.0
#: Steps take no time worth a job; what comes before them does.
KNOWN = {"load": Cost(10.0), "split": Cost(1e-6), "merge": Cost(0.01)}


def shuffled(count: int) -> Dependencies:
    """Return tasks whose values are split in two, and put together with their neighbors'."""
    tasks: Dependencies = {f"load-{n}": () for n in range(count)}
    for n in range(count):
        tasks |= {f"split-{n}-{half}": [f"load-{n}", f"load-{(n + 7) % count}"] for half in "ab"}
        tasks[f"merge-{n}"] = [f"split-{n}-a", f"split-{(n + 1) % count}-b"]
    return tasks


def planned(
    tasks: Dependencies, nbytes: dict[str, float], limits: Limits = AWS, **more: object
) -> Plan:
    """Plan tasks for those that nothing reads, and check the plan."""
    read = {key for reads in tasks.values() for key in reads}
    wanted = [key for key in tasks if key not in read]
    asked = PlanRequest(tasks, wanted, limits, costs=KNOWN, nbytes=nbytes)
    asked = replace(asked, **more)  # type: ignore[arg-type]
    plan = make_plan(asked)
    check_plan(asked, plan)
    return plan


@pytest.mark.parametrize(
    ("loaded", "expected"),
    [(8.0, [16, 1]), (CHUNK / 10, [16, 1]), (40 * CHUNK, [16, 16, 1])],
    ids=["8 B", "10 MB", "4 GB"],
)
def test_short_work_that_reads_much_is_no_short_work(loaded: float, expected: list[int]) -> None:
    nbytes = {"load": loaded, "split": 8.0, "merge": 8.0}
    assert widths(planned(shuffled(64), nbytes)) == expected


def test_short_work_that_reads_values_of_unknown_size_goes_wide() -> None:
    assert widths(planned(shuffled(64), {}))[:2] == [16, 32]
    assert widths(planned(shuffled(64), {"split": 8.0, "merge": 8.0}))[:2] == [16, 32]


def test_few_values_of_unknown_size_open_no_shards() -> None:
    tasks: Dependencies = {f"load-{n}": () for n in range(32)}
    tasks["merge-0"] = [*tasks]
    tasks |= {f"split-{n}": ["merge-0"] for n in range(4)}
    assert widths(planned(tasks, {})) == [16, 1]
    assert widths(planned(tasks, {}, replace(AWS, bandwidth=1e6)))[1:] == [1]


@pytest.mark.parametrize(
    ("said", "by_prefix", "expected"),
    [
        (4 * CHUNK, None, 12),
        (8.0, None, 1),
        (None, 4 * CHUNK, 12),
        (None, 8.0, 1),
        (8.0, 4 * CHUNK, 1),
        (None, None, 32),
    ],
)
def test_values_from_outside_are_read_too(
    said: float | None, by_prefix: float | None, expected: int
) -> None:
    outside: list[Key] = [f"chunk-{n}" for n in range(64)]
    tasks: Dependencies = {f"split-{n}": [key] for n, key in enumerate(outside)}
    plan = planned(
        tasks,
        {} if by_prefix is None else {"chunk": by_prefix},
        external=dict.fromkeys(outside),
        external_nbytes={} if said is None else dict.fromkeys(outside, said),
    )
    assert widths(plan) == [expected]


def test_heavy_readers_are_dealt_apart() -> None:
    outside: list[Key] = [f"big-{n}" for n in range(4)]
    tasks: Dependencies = {f"split-{n}": [key] for n, key in enumerate(outside)}
    tasks |= {f"load-{n}": () for n in range(100)}
    plan = planned(tasks, {"big": 60 * CHUNK, "load": 8.0}, external=dict.fromkeys(outside))
    assert all(shard.prefixes.get("split", 0) <= 1 for shard in plan.stages[0].shards)


def test_sizes_decide_nothing_where_no_time_is_known() -> None:
    tasks = shuffled(64)
    without = planned(tasks, {}, costs={})
    assert planned(tasks, {"load": 4 * CHUNK, "split": 4 * CHUNK}, costs={}) == without
