"""Keys become integers: the needed tasks in running order, with what each reads and is read by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dask.typing import Key
from dask.utils import key_split

from dask_knot.errors import PlanningError, UnknownInputError
from dask_knot.planning.adjacency import Adjacency, CycleError, depth_first
from dask_knot.planning.request import Cost, PlanRequest
from dask_knot.planning.resources import Resources

# Calling even an empty task takes about this long, and a weight above 0 keeps ratios defined.
_LEAST_SECONDS = 1e-6


@dataclass(frozen=True, slots=True)
class NumberedGraph:
    """The tasks of a plan, numbered in running order: inputs have lower numbers than readers.

    Attributes
    ----------
    weights : list of float
        Seconds; 0 for tasks of which nothing is known.
    unknown : bytearray
        1 for tasks of which nothing is known.
    unevenness : float
        Variance of the known work, for each second of it: tasks of one prefix differ so much.
    reading : list of float or None
        Seconds that a job takes to read each task's value, if another one made it; None if its size
        isn't known. Empty where nothing is known of any task: then it decides nothing.
    external_reading : dict of Key to float or None
        The same of values from outside.
    """

    keys: list[Key]
    inputs: Adjacency
    readers: Adjacency
    literals: dict[int, list[Key]]
    external: dict[int, list[Key]]
    waits: set[int]  # tasks that read what is still being made, directly or over others
    weights: list[float]
    unknown: bytearray
    unevenness: float
    reading: Sequence[float | None]
    external_reading: Mapping[Key, float | None]
    kinds: list[int]
    resources: list[Resources]
    wanted: list[int]

    def __len__(self) -> int:
        return len(self.keys)


def build_graph(request: PlanRequest) -> NumberedGraph:
    """Number the needed tasks of a request depth-first from its wanted keys."""
    numbering = _Numbering(request)
    starts = [numbering.task_number(key) for key in request.wanted]
    order, inputs = _in_order(numbering, starts)
    number = [0] * len(numbering.keys)
    for new, old in enumerate(order):
        number[old] = new
    keys = [numbering.keys[task] for task in order]
    known = _knowledge(keys, request)
    external = {number[task]: found for task, found in numbering.external.items()}
    resources, kinds = _resource_classes(keys, request)
    return NumberedGraph(
        keys=keys,
        inputs=inputs,
        readers=inputs.reversed_edges(),
        literals={number[task]: found for task, found in numbering.literals.items()},
        external=external,
        waits=_waiting(external, inputs, request),
        weights=known.weights,
        unknown=known.unknown,
        unevenness=known.unevenness,
        reading=known.reading,
        external_reading=_external_reading(request),
        kinds=kinds,
        resources=resources,
        wanted=[number[task] for task in starts],
    )


def _in_order(numbering: _Numbering, starts: Sequence[int]) -> tuple[list[int], Adjacency]:
    """Order tasks depth-first, and tell which places in that order each reads."""
    if not numbering.are_edges:  # as in a map: a million tasks, none of which reads another
        order = [*dict.fromkeys(starts)]
        return order, Adjacency([], [0] * (len(order) + 1))
    try:
        order = depth_first(starts, numbering.inputs_of, len(numbering.keys))
    except CycleError as error:
        key = numbering.keys[error.task]
        raise PlanningError(f"task {key!r} depends on itself through other tasks") from None
    number = [0] * len(numbering.keys)
    for new, old in enumerate(order):
        number[old] = new
    inputs = Adjacency()
    for task in order:
        inputs.append(map(number.__getitem__, numbering.noted(task)))
    return order, inputs


class _Numbering:
    """Looks up what each task reads, and notes it by task."""

    def __init__(self, request: PlanRequest) -> None:
        self._dependencies = request.dependencies
        self.are_edges = any(request.dependencies.values())
        self.keys = [*request.dependencies]
        self._tasks = len(self.keys)
        self.keys += [key for key in request.external if key not in request.dependencies]
        self._number = {key: number for number, key in enumerate(self.keys)}
        self._is_literal = bytearray(len(self.keys))
        for key in request.literals:
            if key in self._number:
                self._is_literal[self._number[key]] = 1
        self._only_tasks = not any(self._is_literal) and len(self.keys) == self._tasks
        self._inputs = Adjacency()
        self._place = [0] * self._tasks
        self.literals: dict[int, list[Key]] = {}
        self.external: dict[int, list[Key]] = {}

    def task_number(self, key: Key) -> int:
        number = self._number.get(key, self._tasks)
        if number >= self._tasks or self._is_literal[number]:
            raise UnknownInputError(f"{key!r} is requested, but no task of the graph makes it")
        return number

    def inputs_of(self, task: int) -> Sequence[int]:
        try:
            found = [*map(self._number.__getitem__, self._dependencies[self.keys[task]])]
        except KeyError as error:
            raise UnknownInputError(
                f"task {self.keys[task]!r} reads {error.args[0]!r}, which no task of the graph"
                " and no earlier graph makes"
            ) from None
        if len(found) > 1:
            found.sort()
        if found and not self._only_tasks:
            found = self._set_apart(task, found)
        self._place[task] = len(self._inputs)
        self._inputs.append(found)
        return found

    def noted(self, task: int) -> Sequence[int]:
        return self._inputs[self._place[task]]

    def _set_apart(self, task: int, found: list[int]) -> list[int]:
        tasks: list[int] = []
        for number in found:
            if number >= self._tasks:
                self.external.setdefault(task, []).append(self.keys[number])
            elif self._is_literal[number]:
                self.literals.setdefault(task, []).append(self.keys[number])
            else:
                tasks.append(number)
        return tasks


def _waiting(
    external: Mapping[int, Iterable[Key]], inputs: Adjacency, request: PlanRequest
) -> set[int]:
    """Name the tasks that have to wait for what is being made outside of the plan."""
    waits = {
        task
        for task, found in external.items()
        if any(request.external[key] is not None for key in found)
    }
    if waits:
        for task, upstream in enumerate(inputs):
            if not waits.isdisjoint(upstream):
                waits.add(task)
    return waits


def _resource_classes(
    keys: Sequence[Key], request: PlanRequest
) -> tuple[list[Resources], list[int]]:
    if not request.resources:
        return [request.default], [0] * len(keys)
    number: dict[Resources, int] = {}
    kinds = [
        number.setdefault(request.resources.get(key, request.default), len(number)) for key in keys
    ]
    return [*number], kinds


@dataclass(frozen=True, slots=True)
class _Knowledge:
    """What is known of every task: its seconds (0 if nothing is), and whether nothing is."""

    weights: list[float]
    unknown: bytearray
    unevenness: float = 0.0
    reading: Sequence[float | None] = ()


def _knowledge(keys: Sequence[Key], request: PlanRequest) -> _Knowledge:
    if not request.costs and not request.seconds:
        return _Knowledge([0.0] * len(keys), bytearray(b"\1" * len(keys)))
    found, reading = _by_prefix(keys, request)
    for task, key in enumerate(keys if request.seconds else ()):
        if key in request.seconds:
            found[task] = Cost(request.seconds[key])
    weights = [0.0 if cost is None else max(cost.seconds, _LEAST_SECONDS) for cost in found]
    unknown = bytearray([cost is None for cost in found])
    variance = sum(cost.deviation**2 for cost in found if cost is not None and cost.deviation)
    return _Knowledge(weights, unknown, variance / max(sum(weights), _LEAST_SECONDS), reading)


def _by_prefix(
    keys: Iterable[Key], request: PlanRequest
) -> tuple[list[Cost | None], list[float | None]]:
    """Look up what is known by prefix: the costs of tasks, and the seconds to read their values."""
    costs, bandwidth = request.costs, request.limits.bandwidth
    reading_of = {prefix: nbytes / bandwidth for prefix, nbytes in request.nbytes.items()}
    prefixes: dict[Key, str] = {}
    found: list[Cost | None] = []
    reading: list[float | None] = []
    for key in keys:
        if type(key) is tuple and key:
            # Tuple keys of a collection share their first element: splitting it once is enough.
            prefix = prefixes.get(key[0])
            if prefix is None:
                prefix = prefixes[key[0]] = key_split(key[0])
        else:
            prefix = key_split(key)
        found.append(costs.get(prefix))
        reading.append(reading_of.get(prefix))
    return found, reading


def _external_reading(request: PlanRequest) -> Mapping[Key, float | None]:
    if not request.external or not (request.costs or request.seconds):
        return {}
    bandwidth, known = request.limits.bandwidth, request.external_nbytes
    _, reading = _by_prefix(request.external, request)
    return {
        key: known[key] / bandwidth if key in known else by_prefix
        for key, by_prefix in zip(request.external, reading, strict=True)
    }
