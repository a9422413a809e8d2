"""A plan in numbers: what each stage runs, and what goes from stage to stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from dask.typing import Key
from dask.utils import key_split

from dask_knot.planning.plan import Plan, Stage
from dask_knot.planning.resources import Resources


@dataclass(frozen=True, slots=True)
class StageOutline:
    """The tasks of a stage in short.

    Attributes
    ----------
    shards : int
        Its shards: children of an array job.
    tasks : mapping of str to int
        By prefix, in the order in which they run.
    seconds : float
        Estimated work of all shards.
    """

    shards: int
    tasks: Mapping[str, int]
    seconds: float
    resources: Resources


@dataclass(frozen=True, slots=True)
class Flow:
    """The values that go from one stage to another.

    Attributes
    ----------
    source : int, optional
        The stage that makes the values; None when they are there already.
    target : int, optional
        The stage that reads them; None for results, which stay in the store.
    values, reads : int
        How many values, and how often one is read by a shard.
    nbytes : float
        Bytes of these reads, as far as they are known.
    unknown : int
        Reads of values whose size isn't known.
    """

    source: int | None
    target: int | None
    values: int
    reads: int
    nbytes: float
    unknown: int


@dataclass(frozen=True, slots=True)
class Outline:
    """A plan in numbers; of `untimed` tasks the seconds are only assumed."""

    stages: tuple[StageOutline, ...]
    flows: tuple[Flow, ...]
    reasons: tuple[str, ...]
    untimed: int = 0


@dataclass(frozen=True, slots=True)
class Sizes:
    """The known bytes of values: of those that are there, and means by prefix."""

    values: Mapping[Key, int]
    means: Mapping[str, float]

    def of(self, key: Key) -> float | None:
        """Tell the size of a value, or None if it isn't known."""
        return self.values.get(key, self.means.get(key_split(key)))


def outline(
    plan: Plan, wanted: set[Key], sizes: Sizes, timed: Collection[str] = frozenset()
) -> Outline:
    """Sum a plan up.

    Parameters
    ----------
    plan : Plan
        The plan.
    wanted : set of Key
        The keys that it is made for.
    sizes : Sizes
        What is known of the bytes of values.
    timed : collection of str
        The prefixes of which it is known how long a task takes.
    """
    maker = {
        key: number
        for number, stage in enumerate(plan.stages)
        for shard in stage.shards
        for key in shard.outputs
    }
    reads: dict[tuple[int | None, int | None], Counter[Key]] = {}
    for number, stage in enumerate(plan.stages):
        for shard in stage.shards:
            for key in shard.inputs:
                reads.setdefault((maker.get(key), number), Counter())[key] += 1
    for key in wanted & maker.keys():
        reads.setdefault((maker[key], None), Counter())[key] += 1
    flows = [_flow(*ends, counts, sizes) for ends, counts in reads.items()]
    stages = tuple(map(_stage, plan.stages))
    counts = [pair for stage in stages for pair in stage.tasks.items()]
    untimed = sum(count for prefix, count in counts if prefix not in timed)
    return Outline(stages, tuple(flows), plan.reasons, untimed)


def _stage(stage: Stage) -> StageOutline:
    tasks: Counter[str] = Counter()
    for shard in stage.shards:
        tasks.update(shard.prefixes)
    seconds = sum(shard.weight for shard in stage.shards)
    return StageOutline(len(stage.shards), dict(tasks), seconds, stage.resources)


def _flow(source: int | None, target: int | None, reads: Counter[Key], sizes: Sizes) -> Flow:
    known = {key: sizes.of(key) for key in reads}
    nbytes = sum(size * reads[key] for key, size in known.items() if size is not None)
    unknown = sum(reads[key] for key, size in known.items() if size is None)
    return Flow(source, target, len(reads), reads.total(), nbytes, unknown)
