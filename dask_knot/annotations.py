"""Annotations of graphs: what of them is for jobs, and what is for Dask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dask.typing import Key
from dask.utils import format_bytes, parse_bytes

from dask_knot.errors import UnsupportedGraphError
from dask_knot.planning import Resources

#: By type, for each key.
Annotations = Mapping[str, Mapping[Key, Any]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a job has unless its tasks say otherwise, and the most that any job may have."""

    default: Resources
    largest: Resources


def job_resources(
    tasks: Iterable[Key],
    annotations: Annotations,
    everywhere: Mapping[str, Any],
    bounds: Bounds,
) -> dict[Key, Resources]:
    """Read `resources=` as what a job needs: CPU, GPU, and MEMORY in bytes.

    Raises
    ------
    UnsupportedGraphError
        If no job can ever have them.
    """
    found: dict[Key, Resources] = {}
    if everywhere.get("resources"):
        found = dict.fromkeys(tasks, _parse(everywhere["resources"], bounds))
    for key, given in annotations.get("resources", {}).items():
        found[key] = _parse(given, bounds)
    return found


def _parse(given: Mapping[str, Any], bounds: Bounds) -> Resources:
    default, largest = bounds.default, bounds.largest
    known = {"CPU", "GPU", "MEMORY"}
    if unknown := set(given) - known:
        raise UnsupportedGraphError(
            f"resources={dict(given)!r}: a job has no {', '.join(sorted(unknown))}; "
            f"use {', '.join(sorted(known))} (MEMORY in bytes)"
        )
    try:
        needs = Resources(
            vcpus=float(given.get("CPU", default.vcpus)),
            memory=int(parse_bytes(given["MEMORY"])) if "MEMORY" in given else default.memory,
            gpus=int(given.get("GPU", default.gpus)),
            timeout=default.timeout,
        )
    except (ValueError, TypeError) as error:
        text = f"resources={dict(given)!r} are not all numbers: {error}"
        raise UnsupportedGraphError(text) from error
    if not needs.fit(largest):
        most = f"CPU {largest.vcpus:g}, GPU {largest.gpus}"
        if largest.memory is not None:
            most += f", MEMORY {format_bytes(largest.memory)}"
        raise UnsupportedGraphError(
            f"resources={dict(given)!r} are more than any job may have here ({most}). Ask for "
            "less, or open the cluster with more: KnotCluster(jobs=, cores=, memory=, gpus=)"
        )
    return needs


def inner_retries(
    tasks: Iterable[Key], annotations: Annotations, everywhere: Mapping[str, Any]
) -> dict[Key, int]:
    """Read how often tasks may be tried again, those that may at all."""
    general = everywhere.get("retries") or 0
    found = {key: general(key) if callable(general) else general for key in tasks if general}
    found |= annotations.get("retries", {})
    return {key: retries for key, retries in found.items() if retries}


def for_dask(annotations: Annotations, everywhere: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the annotations that Dask acts on: which job runs a task is not its business."""
    kept = {"priority": 0, "retries": 0}
    ours = ("resources", "workers", "allow_other_workers", *kept)
    result = {name: value for name, value in everywhere.items() if name not in ours}
    for name, default in kept.items():
        by_key, general = annotations.get(name, {}), everywhere.get(name, default)
        if by_key:
            result[name] = _Lookup(by_key, general)
        elif name in everywhere:
            result[name] = general
    return result


class _Lookup:
    """An annotation that differs by key, as a call: the form that Dask takes for a whole graph."""

    def __init__(self, by_key: Mapping[Key, Any], general: Any) -> None:
        self._by_key, self._general = by_key, general

    def __call__(self, key: Key) -> Any:
        general = self._general(key) if callable(self._general) else self._general
        return self._by_key.get(key, general)
