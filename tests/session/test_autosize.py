"""Cores that are chosen: by how many processors tasks kept busy, where they had several."""

from __future__ import annotations

import pytest

from dask_knot.run.profile import Profile, ProfileKey, TaskCosts
from dask_knot.session.autosize import choose_cores, resized
from dask_knot.settings.settings import resolve


@pytest.mark.parametrize(
    ("seen", "cores"),
    [
        ([], 1),
        ([(10.0, 0.0)], 1),
        ([(10.0, 1.0)], 1),
        ([(10.0, 1.9)], 2),
        ([(10.0, 3.5)], 4),
        ([(10.0, 1.5)], 1),
        ([(1000.0, 0.9), (10.0, 3.9)], 1),  # what little work uses decides nothing
        ([(10.0, 0.9), (1000.0, 3.9)], 4),
    ],
)
def test_cores_are_those_that_are_kept_busy(seen: list[tuple[float, float]], cores: int) -> None:
    profile = Profile(
        {
            ProfileKey(f"f{n}", b""): TaskCosts(tasks=1, seconds=seconds, threads=threads)
            for n, (seconds, threads) in enumerate(seen)
        }
    )
    chosen, why = choose_cores(profile)
    assert chosen == cores
    assert ("nothing is known" in why) == (not any(threads for _, threads in seen))


def test_jobs_of_more_cores_are_fewer_with_more_memory() -> None:
    settings = resolve({"jobs": 4, "cores": 1, "memory": "1 GiB"})
    found = resized(settings, 2)
    assert (found.jobs, found.cores, found.memory) == (2, 2, 2 * 2**30)


def test_on_aws_memory_goes_with_the_cores() -> None:
    found = resized(resolve({"engine": "aws", "jobs": 4, "cores": "auto"}), 4)
    assert (found.jobs, found.cores, found.memory) == (4, 4, 8 * 2**30)
