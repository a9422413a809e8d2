"""What annotations say of jobs, and how mistakes in them are answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dask_knot.errors import ConfigurationError, UnsupportedGraphError
from dask_knot.graphs.needs import (
    TaskReuse,
    most,
    parse_knot,
    parse_resources,
    parse_reuse,
    parse_seconds,
)
from dask_knot.planning import Resources

DEFAULT = Resources(vcpus=2, memory=2**30, gpus=0, timeout=3600)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, DEFAULT),
        ({"vcpus": 4}, Resources(4, 2**30, 0, 3600)),
        ({"vcpus": "0.5"}, Resources(0.5, 2**30, 0, 3600)),
        ({"memory": "8 GiB", "gpus": 1}, Resources(2, 2**33, 1, 3600)),
        ({"memory": 2**31}, Resources(2, 2**31, 0, 3600)),
        ({"timeout": "10 min"}, Resources(2, 2**30, 0, 600)),
        ({"timeout": 90, "memory": None}, Resources(2, 2**30, 0, 90)),
    ],
)
def test_knot(given: dict[str, Any], expected: Resources) -> None:
    assert parse_knot(given, DEFAULT) == expected


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"vcpu": 4}, "Did you mean 'vcpus'.*gpus, inputs, memory, reuse, seconds, timeout, vcpus"),
        ({"cpus": 4}, "There are: gpus, inputs, memory, reuse, seconds, timeout, vcpus"),
        ({1: 4}, "There are"),
        ({"vcpus": 0}, "a number above 0"),
        ({"vcpus": True}, "a number above 0"),
        ({"vcpus": "many"}, "a number above 0"),
        ({"vcpus": float("nan")}, "a number above 0"),
        ({"memory": "much"}, "an amount of memory"),
        ({"gpus": -1}, "a whole number of at least 0"),
        ({"reuse": 0}, "False, or True"),
        ({"reuse": "no"}, "False, or True"),
        ({"inputs": 3}, "a list of paths"),
        ({"inputs": ["a.csv", 3]}, "a list of paths"),
        ({"inputs": ["a.csv", ""]}, "a list of paths"),
        ({"inputs": {"a": "a.csv"}}, "a list of paths"),
        ({"seconds": -3}, "a time"),
        ({"seconds": "soon"}, "a time"),
        ({"seconds": True}, "a time"),
        ({"seconds": float("nan")}, "a time"),
        ({"seconds": float("inf")}, "a time"),
        ({"second": 3}, "Did you mean 'seconds'"),
        ({"gpus": 0.5}, "a whole number of at least 0"),
        ({"timeout": "5 s"}, "at least 60 seconds"),
        ({"timeout": "soon"}, "a time"),
        (4, "a mapping of vcpus, memory, gpus, timeout, reuse, inputs, seconds"),
    ],
)
def test_a_mistake_in_knot(given: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        parse_knot(given, DEFAULT)
    with pytest.raises(ConfigurationError, match=words):
        parse_reuse(given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, TaskReuse()),
        ({"vcpus": 4}, TaskReuse()),
        ({"reuse": True}, TaskReuse()),
        ({"reuse": None, "inputs": None}, TaskReuse()),
        ({"reuse": False}, TaskReuse(is_fresh=True)),
        ({"inputs": "a.csv"}, TaskReuse(inputs=("a.csv",))),
        ({"inputs": Path("a.csv")}, TaskReuse(inputs=("a.csv",))),
        ({"inputs": ["b", "s3://c/d", Path("a")]}, TaskReuse(inputs=("a", "b", "s3://c/d"))),
        ({"inputs": [], "vcpus": 4, "reuse": False}, TaskReuse(is_fresh=True)),
    ],
)
def test_reuse(given: dict[str, Any], expected: TaskReuse) -> None:
    assert parse_reuse(given) == expected
    sizes = {name: value for name, value in given.items() if name == "vcpus"}
    assert parse_knot(given, DEFAULT) == parse_knot(sizes, DEFAULT)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"vcpus": 4}, None),
        ({"seconds": None}, None),
        ({"seconds": 3}, 3.0),
        ({"seconds": 0}, 0.0),
        ({"seconds": "1 hour"}, 3600.0),
        ({"seconds": "2 min", "vcpus": 4}, 120.0),
    ],
)
def test_seconds(given: dict[str, Any], expected: float | None) -> None:
    assert parse_seconds(given) == expected
    sizes = {name: value for name, value in given.items() if name == "vcpus"}
    assert parse_knot(given, DEFAULT) == parse_knot(sizes, DEFAULT)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"CPU": 4}, Resources(4, 2**30, 0, 3600)),
        ({"GPU": 1, "MEMORY": 8e9, "CPU": 4}, Resources(4, 8 * 10**9, 1, 3600)),
        ({"MEMORY": "8 GiB"}, Resources(2, 2**33, 0, 3600)),
        ({"CPU": 0, "MEMORY": 0, "GPU": 0}, Resources(2, 2**30, 0, 3600)),
        ({"GPU": 0.5}, Resources(2, 2**30, 1, 3600)),
    ],
)
def test_resources(given: dict[str, Any], expected: Resources) -> None:
    assert parse_resources(given, DEFAULT) == expected


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"FOO": 1}, "a job has no FOO; use CPU, GPU and MEMORY"),
        ({("x", 0): {"GPU": 1}}, "a job has no"),
        ({"GPU": "many"}, "are not all numbers"),
        ({"MEMORY": "much"}, "are not all numbers"),
        ({"MEMORY": float("inf")}, "are not all numbers"),
        ({"CPU": -1}, "must all be numbers of 0 or more"),
        ({"CPU": float("nan")}, "must all be numbers of 0 or more"),
        (3, "should look like"),
    ],
)
def test_a_mistake_in_resources(given: Any, words: str) -> None:
    with pytest.raises(UnsupportedGraphError, match=words):
        parse_resources(given, DEFAULT)


def test_the_most() -> None:
    largest = Resources(8, 2**33, 1)
    assert most("resources", largest) == "CPU 8, GPU 1, MEMORY 8.00 GiB"
    assert most("knot", largest) == "vcpus 8, gpus 1, memory 8.00 GiB"
    assert most("knot", Resources(8, None)) == "vcpus 8, gpus 0"
