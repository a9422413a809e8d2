"""The plan: stages of shards, and what each stage waits for."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from dask.typing import Key

from dask_knot.planning.resources import Resources


@dataclass(frozen=True, slots=True)
class Shard:
    """The tasks that one child runs, in order.

    Attributes
    ----------
    tasks : tuple of keys
        In running order: inputs before readers.
    inputs : tuple of keys
        Values to read from shards of earlier stages or from outside of the plan.
    outputs : tuple of keys
        Those of ``tasks`` that are wanted or that other shards read, in the order of their readers:
        what one shard reads lies together, in the order in which it reads it.
    literals : tuple of keys
        Plain values that the tasks read, to be copied into the shard.
    weight : float
        Estimated seconds of work of the tasks of which something is known.
    prefixes : mapping of str to int
        How many of the tasks have which key prefix.
    unknown : int
        How many of the tasks take nobody knows how long.
    """

    tasks: tuple[Key, ...]
    inputs: tuple[Key, ...]
    outputs: tuple[Key, ...]
    literals: tuple[Key, ...]
    weight: float
    prefixes: Mapping[str, int] = field(default_factory=dict, hash=False)
    unknown: int = 0


class DependencyType(Enum):
    """The way in which the children of a stage wait for another stage."""

    ARRAY = "ARRAY"  # every child waits for all children
    N_TO_N = "N_TO_N"  # child i waits for child i


@dataclass(frozen=True, slots=True)
class EarlierStage:
    """A stage of an earlier plan that is still running."""

    id: Hashable


@dataclass(frozen=True, slots=True)
class Dependency:
    """One thing that a stage waits for: a stage of this plan, by index, or of an earlier one."""

    upstream: int | EarlierStage
    type: DependencyType = DependencyType.ARRAY


@dataclass(frozen=True, slots=True)
class Stage:
    """Shards that are submitted together: one array job, or a plain job if there is only one.

    A joining stage has exactly one shard, and that has no tasks: it stands between a stage and
    more upstream stages than one job may depend on.
    """

    shards: tuple[Shard, ...]
    resources: Resources
    depends_on: tuple[Dependency, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The stages that are submitted for one request.

    Attributes
    ----------
    stages : tuple of Stage
        A stage depends on earlier ones only.
    reasons : tuple of str
        Why it was cut where it was, a line each.
    warnings : tuple of str
        What people should know before it runs, a line each.
    """

    stages: tuple[Stage, ...]
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
