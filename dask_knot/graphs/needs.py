"""Needs of a task's jobs, read from an annotation: `resources=` or `knot=`; and what it reuses."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dask.utils import format_bytes, parse_bytes

from dask_knot.errors import UnsupportedGraphError
from dask_knot.planning import Resources
from dask_knot.settings import checks


def parse_resources(given: Any, default: Resources) -> Resources:
    """Read Dask's `resources=`: CPU, GPU, and MEMORY in bytes.

    Raises
    ------
    UnsupportedGraphError
        If it names anything else, or has no numbers.
    """
    known = {"CPU", "GPU", "MEMORY"}
    if not isinstance(given, Mapping):
        raise UnsupportedGraphError(f"resources={given!r} should look like {{'GPU': 1}}")
    if unknown := {str(name) for name in given} - known:
        raise UnsupportedGraphError(
            f"resources={dict(given)!r}: a job has no {', '.join(sorted(unknown))}; use CPU, "
            "GPU and MEMORY (in bytes, or like '8 GiB')"
        )
    try:
        amounts = {
            name: float(parse_bytes(amount) if name == "MEMORY" else amount)
            for name, amount in given.items()
        }
    except (ValueError, TypeError, OverflowError) as error:
        text = f"resources={dict(given)!r} are not all numbers: {error}"
        raise UnsupportedGraphError(text) from error
    if not all(0 <= amount < math.inf for amount in amounts.values()):
        raise UnsupportedGraphError(f"resources={dict(given)!r} must all be numbers of 0 or more")
    return replace(
        default,
        # What a task needs none of, its job has nevertheless.
        vcpus=amounts.get("CPU") or default.vcpus,
        memory=int(amounts.get("MEMORY", 0)) or default.memory,
        # A part of one is one: Batch gives jobs whole ones.
        gpus=math.ceil(amounts.get("GPU", default.gpus)),
    )


def parse_knot(given: Any, default: Resources) -> Resources:
    """Read `dask.annotate(knot={"vcpus": 4, "memory": "8 GiB", "gpus": 1, "timeout": "10 min"})`.

    Raises
    ------
    ConfigurationError
        If it names anything else, or something is wrong; the message names what is valid.
    """
    read = _read_knot(given)
    wanted = {name: value for name, value in read.items() if name not in _NO_NEEDS}
    return replace(default, **{name: v for name, v in wanted.items() if v is not None})


@dataclass(frozen=True, slots=True)
class TaskReuse:
    """What a task says of its value, where a run may have one from an earlier day.

    Attributes
    ----------
    is_fresh : bool
        It is to be computed in any case.
    inputs : tuple of str
        Files that it reads without any of its arguments naming them.
    """

    is_fresh: bool = False
    inputs: tuple[str, ...] = ()


def parse_reuse(given: Any) -> TaskReuse:
    """Read `dask.annotate(knot={"reuse": False, "inputs": ["a.csv", "s3://bucket/b"]})`.

    Raises
    ------
    ConfigurationError
        If it names anything that isn't known, or something is wrong.
    """
    read = _read_knot(given)
    return TaskReuse(read.get("reuse") is False, read.get("inputs") or ())


def parse_seconds(given: Any) -> float | None:
    """Read `dask.annotate(knot={"seconds": 3600})`, or "1 hour": how long a task takes.

    Raises
    ------
    ConfigurationError
        If it names anything that isn't known, or something is wrong.
    """
    found: float | None = _read_knot(given).get("seconds")
    return found


def _read_knot(given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise checks.wrong("knot", given, f"a mapping of {', '.join(_KNOT)}")
    checks.check_names(map(str, given), _KNOT, "dask.annotate(knot=...) takes no")
    return {name: _KNOT[name](f"knot.{name}", value) for name, value in given.items()}


def most(name: str, largest: Resources) -> str:
    """Say what a job may have at most, in the words of an annotation."""
    cpu, gpu, memory = ("CPU", "GPU", "MEMORY") if name == "resources" else _SIZES
    text = f"{cpu} {largest.vcpus:g}, {gpu} {largest.gpus}"
    if largest.memory is not None:
        text += f", {memory} {format_bytes(largest.memory)}"
    return text


def _vcpus(name: str, value: Any) -> float:
    """Take a number above 0: jobs on Fargate may have parts of a vCPU."""
    try:
        found = 0.0 if isinstance(value, bool) else float(value)
    except (ValueError, TypeError):
        found = 0.0
    if not 0 < found < float("inf"):
        raise checks.wrong(name, value, "a number above 0")
    return found


def _reuse(name: str, value: Any) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise checks.wrong(name, value, "False, or True")
    return value


def _inputs(name: str, value: Any) -> tuple[str, ...]:
    """Take paths and URLs; one alone may stand without a list."""
    given = [value] if isinstance(value, str | os.PathLike) else value
    if given is None:
        return ()
    is_list = isinstance(given, list | tuple | set | frozenset)
    if not is_list or not all(isinstance(one, str | os.PathLike) and str(one) for one in given):
        raise checks.wrong(name, value, "a list of paths and s3:// URLs")
    return tuple(sorted({os.fsdecode(one) for one in given}))


#: What of an annotation is no need of a job.
_NO_NEEDS = ("reuse", "inputs", "seconds")
_SIZES = ("vcpus", "gpus", "memory")
_KNOT: dict[str, Callable[[str, Any], Any]] = {
    "vcpus": _vcpus,
    "memory": checks.memory,
    "gpus": checks.gpus,
    "timeout": checks.timeout,
    "reuse": _reuse,
    "inputs": _inputs,
    "seconds": checks.duration,
}
