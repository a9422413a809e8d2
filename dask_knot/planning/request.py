"""The planner's order: tasks, what they cost, the keys that are wanted, the engine's limits."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite

from dask.typing import Key

from dask_knot.planning.resources import Resources


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits to the width and the fineness of a plan.

    Parameters
    ----------
    slots : int
        Jobs that may run at once.
    shards_per_slot : int
        Shards of a stage for each slot at most (above 8 it counts as 8).
    target_seconds : float
        Work that one shard should have when durations are known.
    job_start_seconds : float
        What the start of one more job costs.
    tasks_per_shard : int, optional
        Tasks of a shard at most; nothing is folded then. 1 puts every task alone.
    array_size : int
        Shards of a stage at most (AWS Batch: children of an array job).
    upstream_arrays : int
        Dependencies of a stage at most (AWS Batch: ids in ``dependsOn``).
    bandwidth : float
        Bytes a second that one job reads of values that other jobs have made.
    is_mapped : bool
        Whether these take no memory of the job that reads them.
    """

    slots: int
    shards_per_slot: int = 4
    target_seconds: float = 0.5
    job_start_seconds: float = 0.05
    tasks_per_shard: int | None = None
    array_size: int = 10_000
    upstream_arrays: int = 20
    bandwidth: float = 1e9
    is_mapped: bool = False

    def __post_init__(self) -> None:
        smallest = {
            "slots": 1,
            "shards_per_slot": 1,
            "tasks_per_shard": 1,
            "array_size": 1,
            # A joining stage that waits for one stage would join nothing.
            "upstream_arrays": 2,
        }
        for name, least in smallest.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least}, not {value}")
        for name in ("target_seconds", "bandwidth"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Cost:
    """The seconds that a task of some prefix takes.

    Parameters
    ----------
    seconds : float
        Their mean.
    deviation : float
        Their standard deviation; 0 if all tasks take as long, or if nothing is known of it.
    """

    seconds: float
    deviation: float = 0.0

    def __post_init__(self) -> None:
        if not all(isfinite(value) and value >= 0 for value in (self.seconds, self.deviation)):
            raise ValueError(f"seconds must be finite and not below 0: {self}")


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """The tasks to plan and all that is known about them.

    Parameters
    ----------
    dependencies : mapping of key to keys
        Every task to plan and the keys it reads: tasks, literals or external keys.
        The order of the mapping settles all ties, so plans don't depend on hashes.
    wanted : sequence of keys
        The keys of ``dependencies`` that the client asked for; what none of them needs
        is not planned.
    limits : Limits
        How wide and how fine the plan may be.
    is_ordered : bool
        Earlier keys of ``dependencies`` are to run before later ones, where they can.
    literals : collection of keys
        Keys of ``dependencies`` that are plain values: copied into every shard that reads
        them, tasks of none.
    external : mapping of key to hashable or None
        Values made outside of this plan: the id of the stage that is still making it, or
        None when it is stored already. A key that is also in ``dependencies`` is a task.
    costs : mapping of str to Cost
        What tasks take, by key prefix (`dask.utils.key_split`). Of a prefix that isn't in it
        nothing is known, and nothing is assumed.
    seconds : mapping of key to float
        What single tasks take, as the user said; goes before ``costs``.
    nbytes : mapping of str to float
        The bytes of values, by prefix, as far as they are known.
    external_nbytes : mapping of key to float
        The bytes of single values of ``external``; goes before ``nbytes``.
    resources : mapping of key to Resources
        The tasks that need other resources than ``default``.
    default : Resources
        What all other tasks need.
    plan : str
        The number of the plan, as people read it in the names of its stages.
    """

    dependencies: Mapping[Key, Collection[Key]]
    wanted: Sequence[Key]
    limits: Limits
    literals: Collection[Key] = frozenset()
    external: Mapping[Key, Hashable | None] = field(default_factory=dict)
    costs: Mapping[str, Cost] = field(default_factory=dict)
    seconds: Mapping[Key, float] = field(default_factory=dict)
    nbytes: Mapping[str, float] = field(default_factory=dict)
    external_nbytes: Mapping[Key, float] = field(default_factory=dict)
    resources: Mapping[Key, Resources] = field(default_factory=dict)
    default: Resources = field(default_factory=Resources)
    is_ordered: bool = False
    plan: str = "0"
