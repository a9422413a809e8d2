"""Annotations of graphs: what of them is for jobs, and what is for Dask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dask.typing import Key
from dask.utils import parse_bytes

from dask_knot.errors import UnsupportedGraphError
from dask_knot.planning import Resources

#: By type, for each key.
Annotations = Mapping[str, Mapping[Key, Any]]


def job_resources(
    tasks: Iterable[Key],
    annotations: Annotations,
    everywhere: Mapping[str, Any],
    default: Resources,
) -> dict[Key, Resources]:
    """Read `resources=` as what a job needs: CPU, GPU, and MEMORY in bytes."""
    found: dict[Key, Resources] = {}
    if everywhere.get("resources"):
        everyone = _parse(everywhere["resources"], default)
        found = dict.fromkeys(tasks, everyone)
    for key, given in annotations.get("resources", {}).items():
        found[key] = _parse(given, default)
    return found


def _parse(given: Mapping[str, Any], default: Resources) -> Resources:
    known = {"CPU", "GPU", "MEMORY"}
    if unknown := set(given) - known:
        raise UnsupportedGraphError(
            f"resources={dict(given)!r}: a job has no {', '.join(sorted(unknown))}; "
            f"use {', '.join(sorted(known))} (MEMORY in bytes)"
        )
    return Resources(
        vcpus=given.get("CPU", default.vcpus),
        memory=int(parse_bytes(given["MEMORY"])) if "MEMORY" in given else default.memory,
        gpus=int(given.get("GPU", default.gpus)),
        timeout=default.timeout,
    )


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
