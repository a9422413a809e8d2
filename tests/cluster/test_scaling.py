"""What is asked for in jobs, cores or memory becomes a number of jobs of one size."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from dask_knot.cluster.scaling import Adaptation, Scaling, check_reach
from dask_knot.errors import ConfigurationError
from dask_knot.settings.settings import resolve

SCALING = Scaling(replace(resolve({}), cores=4, memory=2**32))


@pytest.mark.parametrize(
    ("given", "jobs"),
    [
        ({"n": 3}, 3),
        ({"jobs": "7", "n": None}, 7),
        ({"cores": 9}, 3),
        ({"memory": "9 GiB"}, 3),
        ({"n": 2, "cores": 40}, 10),
    ],
)
def test_amounts_in_jobs(given: dict[str, Any], jobs: int) -> None:
    assert SCALING.jobs_of(given) == jobs


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"n": None}, "needs to know how many"),
        ({"n": 0}, "none is ever idle"),
        ({"n": 1.5}, "a whole number of at least 1"),
        ({"memory": "much"}, "4 GiB"),
        ({"cores": 400_004}, "at most 100,000 jobs"),
    ],
)
def test_amounts_that_are_none(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        SCALING.jobs_of(given)


@pytest.mark.parametrize(
    ("given", "least", "most"),
    [
        ({}, 0, 5),
        ({"maximum": 9}, 0, 9),
        ({"minimum": 7}, 7, 7),
        ({"minimum": 0, "maximum": math.inf, "interval": "1s"}, 0, 5),
        ({"maximum_cores": 11, "maximum_memory": "9 GiB"}, 0, 2),
        ({"minimum_cores": 5, "maximum_jobs": 3}, 2, 3),
    ],
)
def test_limits(given: dict[str, Any], least: int, most: int) -> None:
    assert SCALING.adaptation_of(given, 5) == Adaptation(least, most)


def test_limits_that_are_none() -> None:
    with pytest.raises(TypeError, match="no argument most; it has: minimum, "):
        SCALING.adaptation_of({"most": 3}, 5)
    with pytest.raises(ConfigurationError, match=r"of 4 vCPU and 4\.00 GiB can't be both"):
        SCALING.adaptation_of({"minimum": 3, "maximum": 2}, 5)
    with pytest.raises(ConfigurationError, match="enough for at least one job of 4 vCPU"):
        SCALING.adaptation_of({"maximum_cores": 3}, 5)


def test_nobody_waits_for_more_workers_than_there_can_be() -> None:
    check_reach(5, 5)
    with pytest.raises(ConfigurationError, match=r"6 jobs will never run .*cluster\.scale\(6\)"):
        check_reach(6, 5)
