"""Needs of a task's jobs, read from an annotation: `resources=` or `knot=`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
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
        raise UnsupportedGraphError(f"resources={given!r} should be such as {{'GPU': 1}}")
    if unknown := {str(name) for name in given} - known:
        raise UnsupportedGraphError(
            f"resources={dict(given)!r}: of a job there is no {', '.join(sorted(unknown))}; "
            "use CPU, GPU and MEMORY (in bytes, or such as '8 GiB')"
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
        raise UnsupportedGraphError(f"resources={dict(given)!r} are not all numbers from 0 on")
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
    if not isinstance(given, Mapping):
        raise checks.wrong("knot", given, f"a mapping of {', '.join(_KNOT)}")
    checks.check_names(map(str, given), _KNOT, "dask.annotate(knot=...) takes no")
    wanted = {name: _KNOT[name](f"knot.{name}", value) for name, value in given.items()}
    return replace(default, **{name: v for name, v in wanted.items() if v is not None})


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


_SIZES = ("vcpus", "gpus", "memory")
_KNOT: dict[str, Callable[[str, Any], Any]] = {
    "vcpus": _vcpus,
    "memory": checks.memory,
    "gpus": checks.gpus,
    "timeout": checks.timeout,
}
