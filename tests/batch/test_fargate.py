"""Fargate's sizes, and the nearest to those that it doesn't have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.batch import fargate
from dask_knot.batch.request import JobTemplate, job_definition
from dask_knot.errors import ConfigurationError
from dask_knot.planning import Resources


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


def test_there_are_no_gpus() -> None:
    with pytest.raises(ConfigurationError, match="no GPUs"):
        fargate.check(1, 2048, 1)


def test_a_definition_of_a_wrong_size_is_refused_on_fargate_only() -> None:
    odd = Resources(vcpus=1, memory=100 * 2**20)
    job_definition(JobTemplate("n", "q", "i"), odd)
    with pytest.raises(ConfigurationError, match="The nearest is 1 vCPU and 2048 MiB"):
        job_definition(JobTemplate("n", "q", "i", platform="FARGATE"), odd)
