"""Annotations of graphs: what of them is for jobs, and what is for Dask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeVar

from dask.typing import Key

from dask_knot.errors import UnsupportedGraphError
from dask_knot.graphs.needs import (
    TaskReuse,
    most,
    parse_knot,
    parse_resources,
    parse_reuse,
    parse_seconds,
)
from dask_knot.planning import Resources

T = TypeVar("T")

#: By type, for each key.
Annotations = Mapping[str, Mapping[Key, Any]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The resources of a job unless its tasks say otherwise, and the most that any may have."""

    default: Resources
    largest: Resources


def job_resources(
    tasks: Iterable[Key],
    annotations: Annotations,
    everywhere: Mapping[str, Any],
    bounds: Bounds,
) -> dict[Key, Resources]:
    """Read what jobs need: `resources=` as Dask has them, and `knot=` in the words of a cluster.

    Raises
    ------
    UnsupportedGraphError
        If no job can ever have them.
    ConfigurationError
        If `knot=` says something that is unknown or wrong.
    """
    found: dict[Key, Resources] = {}
    for name, parse in (("resources", parse_resources), ("knot", parse_knot)):
        by_key, general = annotations.get(name, {}), everywhere.get(name)
        known: dict[tuple[int, Resources], Resources] = {}  # most tasks of a layer share one
        for key in tasks if general else by_key:
            given = by_key.get(key, general(key) if callable(general) else general)
            if not given:
                continue
            before = found.get(key, bounds.default)
            needs = known.get((id(given), before))
            if needs is None:
                needs = parse(given, before)
                _check_size(name, given, needs, bounds.largest)
                if not callable(general):
                    known[id(given), before] = needs
            found[key] = needs
    return found


def task_reuse(
    tasks: Iterable[Key], annotations: Annotations, everywhere: Mapping[str, Any]
) -> dict[Key, TaskReuse]:
    """Read what tasks say of earlier values, and of files that they read: those that say anything.

    Raises
    ------
    ConfigurationError
        If `knot=` says something that is unknown or wrong.
    """
    said = _said_of_knot(parse_reuse, tasks, annotations, everywhere)
    return {key: reuse for key, reuse in said if reuse.is_fresh or reuse.inputs}


def task_seconds(
    tasks: Iterable[Key], annotations: Annotations, everywhere: Mapping[str, Any]
) -> dict[Key, float]:
    """Read how long tasks take, those of which it is said.

    Raises
    ------
    ConfigurationError
        If `knot=` says something that is unknown or wrong.
    """
    said = _said_of_knot(parse_seconds, tasks, annotations, everywhere)
    return {key: seconds for key, seconds in said if seconds is not None}


def _said_of_knot(
    parse: Callable[[Any], T],
    tasks: Iterable[Key],
    annotations: Annotations,
    everywhere: Mapping[str, Any],
) -> Iterator[tuple[Key, T]]:
    by_key, general = annotations.get("knot", {}), everywhere.get("knot")
    known: dict[int, T] = {}  # most tasks of a layer share one
    for key in tasks if general else by_key:
        given = by_key.get(key, general(key) if callable(general) else general)
        if not given:
            continue
        if id(given) in known:
            found = known[id(given)]
        else:
            found = parse(given)
            if not callable(general):  # else it may be gone, and its id another one's
                known[id(given)] = found
        yield key, found


def _check_size(name: str, given: object, needs: Resources, largest: Resources) -> None:
    if not needs.fit(largest):
        raise UnsupportedGraphError(
            f"{name}={given!r} are more than any job may have here ({most(name, largest)}). Ask "
            "for less, or open the cluster with more: KnotCluster(jobs=, cores=, memory=, gpus=)"
        )


def task_priorities(
    tasks: Iterable[Key], annotations: Annotations, everywhere: Mapping[str, Any]
) -> dict[Key, float]:
    """Read which tasks come first: those of a higher number; all others have 0.

    Raises
    ------
    UnsupportedGraphError
        If one is no number.
    """
    return _numbers("priority", Real, tasks, annotations, everywhere)


def check_workers(annotations: Annotations, everywhere: Mapping[str, Any], known: Set[str]) -> None:
    """Refuse tasks that may run on workers only that there are not: they would wait for ever.

    Raises
    ------
    UnsupportedGraphError
        If `workers=` names nothing of what is `known`, and `allow_other_workers=` isn't set.
    """
    loose = everywhere.get("allow_other_workers")
    loose_keys = annotations.get("allow_other_workers", {})
    asked = [everywhere.get("workers")] if not loose else []
    by_key = annotations.get("workers", {}).items()
    asked += [given for key, given in by_key if not loose_keys.get(key, loose)]
    for given in asked:
        names = given if isinstance(given, list | tuple | set) else [given]
        # Jobs are shown as ADDRESS#NUMBER.
        if (
            given is not None
            and not callable(given)
            and known.isdisjoint(str(name).partition("#")[0] for name in names)
        ):
            raise UnsupportedGraphError(
                f"workers={given!r}: the one worker here, 'gateway', stands for all jobs, "
                "and AWS Batch chooses where they run. Leave workers= out, or allow other "
                "workers; to choose machines use resources= or dask.annotate(knot=...)"
            )


def inner_retries(
    tasks: Iterable[Key], annotations: Annotations, everywhere: Mapping[str, Any]
) -> dict[Key, int]:
    """Read how often tasks may be tried again, those that may at all.

    Raises
    ------
    UnsupportedGraphError
        If one is no whole number.
    """
    # Dask's scheduler takes nothing else, and is left half way by it.
    return _numbers("retries", int, tasks, annotations, everywhere)


def spans(
    tasks: Iterable[Key], annotations: Annotations, everywhere: Mapping[str, Any]
) -> dict[Key, Any]:
    """Read in which of Dask's spans tasks were made, those that were made in one."""
    by_key, general = annotations.get("span", {}), everywhere.get("span")
    found = {key: by_key.get(key, general) for key in tasks} if by_key or general else {}
    return {key: span for key, span in found.items() if span is not None}


def _numbers(
    name: str,
    kind: type,
    tasks: Iterable[Key],
    annotations: Annotations,
    everywhere: Mapping[str, Any],
) -> dict[Key, Any]:
    general = everywhere.get(name) or 0
    found = {key: general(key) if callable(general) else general for key in tasks if general}
    found |= annotations.get(name, {})
    for key, number in found.items():
        if number is not None and not isinstance(number, kind):
            words = "whole number" if kind is int else "number"
            raise UnsupportedGraphError(f"{name}={number!r} of {key!r} is no {words}")
    return {key: number for key, number in found.items() if number}


def for_dask(annotations: Annotations, everywhere: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the annotations that Dask acts on: which job runs a task is not its business."""
    kept = {"priority": 0, "retries": 0}
    ours = ("resources", "knot", "workers", "allow_other_workers", *kept)
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
