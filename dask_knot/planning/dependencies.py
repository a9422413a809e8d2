"""The stages that each stage waits for, in as few dependencies as say it; by child if possible.

A job may depend on few others, so an empty shard, a joining stage, waits for many in its place.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dask_knot.planning.plan import Dependency, DependencyType, EarlierStage, Shard, Stage
from dask_knot.planning.resources import Resources

_NOTHING = Shard(tasks=(), inputs=(), outputs=(), literals=(), weight=0.0)


@dataclass(slots=True)
class Reading:
    """The reads of the shards of one stage.

    Attributes
    ----------
    size : int
        The number of shards.
    upstream : dict of int to bool
        The earlier stages that make inputs; True while every shard reads only from the shard
        of the same index there.
    external : dict
        The ids of running stages of earlier plans (a dict keeps their order).
    """

    size: int
    upstream: dict[int, bool] = field(default_factory=dict)
    external: dict[Hashable, None] = field(default_factory=dict)

    def add(self, stage: int, is_same_index: bool) -> None:
        """Note that a shard reads from a shard of an earlier stage."""
        self.upstream[stage] = self.upstream.get(stage, True) and is_same_index


def link_stages(readings: Sequence[Reading]) -> list[tuple[Dependency, ...]]:
    """Derive what each stage must wait for, without what follows from the rest.

    A dependency follows from another if that one's stage can't start before the whole upstream
    stage is done; that of child i on child i (N_TO_N) passes on only what came before the pair.
    """
    bits = _external_bits(readings)
    complete: list[int] = []  # by stage: what is done when a child starts, as bits
    linked = []
    for reading in readings:
        kept: list[Dependency] = []
        done = 0
        # Late stages first: what one of them waited for is never later than itself.
        for stage in sorted(reading.upstream, reverse=True):
            if done >> stage & 1:
                continue
            if _is_paired(reading, stage, readings):
                kept.append(Dependency(stage, DependencyType.N_TO_N))
            else:
                kept.append(Dependency(stage))
                done |= 1 << stage
            done |= complete[stage]
        kept.reverse()
        for outside in reading.external:
            if not done >> bits[outside] & 1:
                kept.append(Dependency(EarlierStage(outside)))
                done |= 1 << bits[outside]
        complete.append(done)
        linked.append(tuple(kept))
    return linked


def _is_paired(reading: Reading, stage: int, readings: Sequence[Reading]) -> bool:
    return reading.upstream[stage] and reading.size == readings[stage].size > 1


def _external_bits(readings: Sequence[Reading]) -> Mapping[Hashable, int]:
    outside = dict.fromkeys(found for reading in readings for found in reading.external)
    return {found: bit for bit, found in enumerate(outside, start=len(readings))}


def join_upstream(stages: Sequence[Stage], most: int, resources: Resources) -> tuple[Stage, ...]:
    """Put joining stages before every stage that waits for more than ``most`` others.

    Stages that wait for the same ones share their joining stages.
    """
    joining = _Joining(most, resources)
    for stage in stages:
        joining.add(stage)
    return tuple(joining.stages)


class _Joining:
    def __init__(self, most: int, resources: Resources) -> None:
        self.stages: list[Stage] = []
        self._most = most
        self._resources = resources
        self._new_index: list[int] = []
        self._joined: dict[tuple[Dependency, ...], Dependency] = {}

    def add(self, stage: Stage) -> None:
        depends_on = self._reduced([self._renumbered(found) for found in stage.depends_on])
        self._new_index.append(len(self.stages))
        self.stages.append(replace(stage, depends_on=depends_on))

    def _renumbered(self, found: Dependency) -> Dependency:
        if isinstance(found.upstream, int):
            return replace(found, upstream=self._new_index[found.upstream])
        return found

    def _reduced(self, waits: list[Dependency]) -> tuple[Dependency, ...]:
        # Pairs last: they are joined, and so made whole arrays, only if nothing else is left.
        waits.sort(key=lambda found: found.type is DependencyType.N_TO_N)
        while len(waits) > self._most:
            count = min(self._most, len(waits) - self._most + 1)
            group = tuple(Dependency(found.upstream) for found in waits[:count])
            waits = [*waits[count:], self._join(group)]
            waits.sort(key=lambda found: found.type is DependencyType.N_TO_N)
        return tuple(waits)

    def _join(self, group: tuple[Dependency, ...]) -> Dependency:
        if group not in self._joined:
            self._joined[group] = Dependency(len(self.stages))
            self.stages.append(Stage((_NOTHING,), self._resources, group))
        return self._joined[group]
