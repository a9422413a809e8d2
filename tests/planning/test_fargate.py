"""Fargate's sizes, and the nearest to those that it doesn't have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.batch.request import JobTemplate, fitting_size, job_definition
from dask_knot.errors import ConfigurationError
from dask_knot.planning import Resources, fargate


@pytest.mark.parametrize(
    ("vcpus", "memory"), [(0.25, 512), (0.5, 4096), (1, 2048), (2, 16384), (8, 20480), (16, 122880)]
)
def test_sizes_that_there_are(vcpus: float, memory: int) -> None:
    fargate.check(vcpus, memory)


@pytest.mark.parametrize(
    ("vcpus", "memory", "nearest"),
    [
        (1, 1024, (1, 2048)),
        (1, 2049, (1, 3072)),
        (1, 2100.5, (1, 3072)),
        (0.25, 1300, (0.25, 2048)),
        (2, 1024, (2, 4096)),
        (1, 9000, (2, 9216)),
        (0.3, 512, (0.5, 1024)),
        (3, 4096, (4, 8192)),
        (8, 18000, (8, 20480)),
        (5, 100_000, (16, 106496)),
    ],
)
def test_the_nearest_size_is_named(vcpus: float, memory: int, nearest: tuple[float, int]) -> None:
    assert fargate.nearest(vcpus, memory) == nearest
    with pytest.raises(ConfigurationError, match=f"memory='{nearest[1]} MiB'"):
        fargate.check(vcpus, memory)


@pytest.mark.parametrize(("vcpus", "memory"), [(17, 1024), (1, 130_000)])
def test_what_is_too_large_has_no_nearest(vcpus: float, memory: int) -> None:
    assert fargate.nearest(vcpus, memory) is None
    with pytest.raises(ConfigurationError, match="--platform ec2"):
        fargate.check(vcpus, memory)


@given(st.floats(0.1, 16), st.integers(1, 120 * 1024))
def test_the_nearest_fits_and_is_allowed(vcpus: float, memory: int) -> None:
    size = fargate.nearest(vcpus, memory)
    assert size is not None
    assert size[0] >= vcpus
    assert size[1] >= memory
    fargate.check(*size)


@pytest.mark.parametrize(
    ("vcpus", "most"), [(0.1, 0), (0.25, 2048), (1, 8192), (3, 16384), (4, 30720), (64, 122880)]
)
def test_the_most_memory_beside_some_vcpus(vcpus: float, most: int) -> None:
    assert fargate.most_memory(vcpus) == most


@pytest.mark.parametrize(
    ("platform", "needs", "size"),
    [
        ("EC2", Resources(1, 3 * 2**30), Resources(1, 3 * 2**30)),
        ("FARGATE", Resources(1, 8 * 2**30), Resources(1, 8 * 2**30)),
        ("FARGATE", Resources(1, 16 * 2**30), Resources(2, 16 * 2**30)),
        ("FARGATE", Resources(4, 31 * 2**30), Resources(8, 32 * 2**30)),
        ("FARGATE", Resources(1, 121 * 2**30), None),
        ("FARGATE", Resources(1, 2**30, 1), None),
    ],
)
def test_the_smallest_job_with_what_is_needed(
    platform: str, needs: Resources, size: Resources | None
) -> None:
    template = JobTemplate("n", "q", "i", platform=platform)
    assert fitting_size(template, needs) == size
    if size is not None:
        job_definition(template, size)


def test_there_are_no_gpus() -> None:
    with pytest.raises(ConfigurationError, match="no GPUs"):
        fargate.check(1, 2048, 1)


def test_a_definition_of_a_wrong_size_is_refused_on_fargate_only() -> None:
    odd = Resources(vcpus=1, memory=100 * 2**20)
    job_definition(JobTemplate("n", "q", "i"), odd)
    with pytest.raises(ConfigurationError, match="The nearest is 1 vCPU and 2048 MiB"):
        job_definition(JobTemplate("n", "q", "i", platform="FARGATE"), odd)
