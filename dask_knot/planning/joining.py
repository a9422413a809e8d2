"""Joining stages: a job may depend on few others, so an empty shard waits for many in its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dask_knot.planning.plan import Dependency, DependencyType, Shard, Stage
from dask_knot.planning.resources import Resources

_NOTHING = Shard(tasks=(), inputs=(), outputs=(), literals=(), weight=0.0)


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
