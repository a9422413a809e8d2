"""A plan in numbers: what each stage runs, and what goes from stage to stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dask.typing import Key
from dask.utils import key_split

from dask_knot.planning.plan import Plan, Stage
from dask_knot.planning.request import Limits
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
        Work of all shards, of the tasks of which something is known.
    untimed : int
        Tasks of which nothing is known.
    longest : float
        Known work of the shard that has most.
    best : float
        Seconds that the stage takes at least, job starts included: with all slots its own, evenly
        filled, and as if tasks of which nothing is known took no time.
    worst : float, optional
        Seconds that it takes at most with all slots its own, as far as what is known is right;
        None if nothing is known of some task.
    """

    shards: int
    tasks: Mapping[str, int]
    seconds: float
    resources: Resources
    untimed: int = 0
    longest: float = 0.0
    best: float = 0.0
    worst: float | None = None


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
    """A plan in numbers.

    Attributes
    ----------
    stages : tuple of StageOutline
        In the order in which they are submitted.
    flows : tuple of Flow
        What goes from stage to stage.
    reasons : tuple of str
        Why it was cut where it was.
    untimed : int
        Tasks of which nothing is known.
    best : float
        Seconds that it takes at least: those of the longest chain of stages, by the longest shard
        of each, or of all known work on all slots, whichever is more. With `untimed` tasks it is
        only a lower bound: they count as nothing.
    worst : float, optional
        Seconds that it takes at most, as far as what is known is right: one stage after the other.
        None if nothing is known of some task.
    """

    stages: tuple[StageOutline, ...]
    flows: tuple[Flow, ...]
    reasons: tuple[str, ...]
    untimed: int = 0
    best: float = 0.0
    worst: float | None = None

    @property
    def jobs(self) -> int:
        """Count the jobs that it starts."""
        return sum(stage.shards for stage in self.stages)


@dataclass(frozen=True, slots=True)
class Sizes:
    """The known bytes of values: of those that are there, and means by prefix."""

    values: Mapping[Key, int]
    means: Mapping[str, float]

    def of(self, key: Key) -> float | None:
        """Tell the size of a value, or None if it isn't known."""
        return self.values.get(key, self.means.get(key_split(key)))


def outline(plan: Plan, wanted: set[Key], sizes: Sizes, limits: Limits | None = None) -> Outline:
    """Sum a plan up.

    Parameters
    ----------
    plan : Plan
        The plan.
    wanted : set of Key
        The keys that it is made for.
    sizes : Sizes
        What is known of the bytes of values.
    limits : Limits, optional
        Those that it was made for: one slot, unless told otherwise.
    """
    limits = limits or Limits(1)
    stages = tuple([_stage(stage, limits) for stage in plan.stages])
    worst = [stage.worst for stage in stages if stage.worst is not None]
    return Outline(
        stages,
        _flows(plan, wanted, sizes),
        plan.reasons,
        untimed=sum(stage.untimed for stage in stages),
        best=_best(plan, stages, limits),
        worst=sum(worst) if len(worst) == len(stages) else None,
    )


def _stage(stage: Stage, limits: Limits) -> StageOutline:
    tasks: Counter[str] = Counter()
    for shard in stage.shards:
        tasks.update(shard.prefixes)
    seconds = sum(shard.weight for shard in stage.shards)
    longest = max(shard.weight for shard in stage.shards)
    untimed = sum(shard.unknown for shard in stage.shards)
    alone = longest + limits.job_start_seconds
    every = seconds + len(stage.shards) * limits.job_start_seconds
    lanes = min(limits.slots, len(stage.shards))
    rounds = -(-len(stage.shards) // lanes)
    return StageOutline(
        len(stage.shards),
        dict(tasks),
        seconds,
        stage.resources,
        untimed=untimed,
        longest=longest,
        best=max(alone, every / lanes),
        # Jobs are taken as slots get free: the last one begins when the others fill all slots, and
        # no slot takes more of them than there are rounds.
        worst=None if untimed else min(alone + (every - alone) / lanes, rounds * alone),
    )


def _best(plan: Plan, outlines: Sequence[StageOutline], limits: Limits) -> float:
    """Give the longest chain, or the work of all slots: stages may run side by side."""
    ends: list[float] = []
    for stage, own in zip(plan.stages, outlines, strict=True):
        befores = [
            ends[found.upstream] for found in stage.depends_on if type(found.upstream) is int
        ]
        ends.append(own.longest + limits.job_start_seconds + max(befores, default=0.0))
    every = sum(own.seconds + own.shards * limits.job_start_seconds for own in outlines)
    return max([every / limits.slots, *ends])


def _flows(plan: Plan, wanted: set[Key], sizes: Sizes) -> tuple[Flow, ...]:
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
    return tuple([_flow(*ends, counts, sizes) for ends, counts in reads.items()])


def _flow(source: int | None, target: int | None, reads: Counter[Key], sizes: Sizes) -> Flow:
    known = {key: sizes.of(key) for key in reads}
    nbytes = sum(size * reads[key] for key, size in known.items() if size is not None)
    unknown = sum(reads[key] for key, size in known.items() if size is None)
    return Flow(source, target, len(reads), reads.total(), nbytes, unknown)
