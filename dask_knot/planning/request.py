"""The planner's order: tasks, the keys that are wanted, and the limits of the engine."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

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
    unknown_seconds : float
        Weight of a task of which no duration is known.
    tasks_per_shard : int, optional
        Tasks of a shard at most; nothing is folded then. 1 puts every task alone.
    array_size : int
        Shards of a stage at most (AWS Batch: children of an array job).
    upstream_arrays : int
        Dependencies of a stage at most (AWS Batch: ids in ``dependsOn``).
    """

    slots: int
    shards_per_slot: int = 4
    target_seconds: float = 0.5
    job_start_seconds: float = 0.05
    unknown_seconds: float = 0.5
    tasks_per_shard: int | None = None
    array_size: int = 10_000
    upstream_arrays: int = 20

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
        if not self.target_seconds > 0:
            raise ValueError(f"target_seconds must be above 0, not {self.target_seconds}")


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
    literals : collection of keys
        Keys of ``dependencies`` that are plain values: copied into every shard that reads
        them, tasks of none.
    external : mapping of key to hashable or None
        Values made outside of this plan: the id of the stage that is still making it, or
        None when it is stored already. A key that is also in ``dependencies`` is a task.
    durations : mapping of str to float
        Seconds by key prefix (`dask.utils.key_split`); a negative value means unknown.
    resources : mapping of key to Resources
        The tasks that need other resources than ``default``.
    default : Resources
        What all other tasks need.
    """

    dependencies: Mapping[Key, Collection[Key]]
    wanted: Sequence[Key]
    limits: Limits
    literals: Collection[Key] = frozenset()
    external: Mapping[Key, Hashable | None] = field(default_factory=dict)
    durations: Mapping[str, float] = field(default_factory=dict)
    resources: Mapping[Key, Resources] = field(default_factory=dict)
    default: Resources = field(default_factory=Resources)
