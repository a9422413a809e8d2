"""How far a run is: what became of each shard, and what later plans make up for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import replace
from itertools import accumulate

from dask.typing import Key
from dask.utils import key_split

from dask_knot.run.names import ShardId, StageId
from dask_knot.run.record import NO_DIGEST, PlanRecord, pieces
from dask_knot.runs.state import Marks, PlanView, Progression, ShardCondition, StageView

#: What a later plan can make up for.
_REPLACEABLE = (
    ShardCondition.ERRED,
    ShardCondition.LOST,
    ShardCondition.LEFT,
    ShardCondition.UNKNOWN,
)


def progression(plans: Sequence[PlanRecord], marks: Marks) -> Progression:
    """Tell how far a run is.

    Parameters
    ----------
    plans : sequence of PlanRecord
        Those of the log, in its order.
    marks : Marks
        What is known of their shards.
    """
    views = [_view(plan, marks) for plan in plans]
    there = Progression(views)
    if any(there.counts[one] for one in _REPLACEABLE):
        again = _made_again(views)
        return Progression([_without(view, again) for view in views])
    return there


def _view(plan: PlanRecord, marks: Marks) -> PlanView:
    stages = []
    for number, stage in enumerate(plan.stages):
        id = StageId(plan.number, number)
        shards = [ShardId(id, index) for index in range(len(stage.outputs))]
        handed = [marks.handed.get(shard, {}) for shard in shards]
        begun = [marks.begun.get(shard, 0) for shard in shards]
        stages.append(StageView(id, stage, [*map(marks.condition, shards)], handed, begun))
    return PlanView(plan, stages)


def _made_again(views: Sequence[PlanView]) -> set[ShardId]:
    """Name the shards that came to nothing, and that a later plan makes up for."""
    found: set[ShardId] = set()
    later = _Later()
    for view in reversed(views):
        is_repeated = later.repeats(view)
        found |= {
            shard
            for shard, outputs in _open_outputs(view)
            if is_repeated or any(later.makes(view.record, output) for output in outputs)
        }
        later.add(view)
    return found


class _Later:
    """What the later plans make: by digest, by key where there is none, and by what was edited."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()
        self._keys: set[Key] = set()
        self._plans: list[tuple[PlanView, Set[str]]] = []

    def add(self, view: PlanView) -> None:
        """Note what a plan makes."""
        plan = view.record
        made = pieces(plan.digests)
        self._digests.update(made)
        self._digests.discard(NO_DIGEST)
        if NO_DIGEST in made:
            self._keys.update(
                key for key, one in zip(plan.keys, made, strict=True) if one == NO_DIGEST
            )
        self._plans.append((view, _asked_for(plan)))

    def makes(self, plan: PlanRecord, output: int) -> bool:
        """Tell whether an output is made again as it was to be made."""
        digest = plan.digest(output)
        if digest != NO_DIGEST:
            return digest in self._digests
        return bool(self._keys) and plan.keys[output] in self._keys

    def repeats(self, view: PlanView) -> bool:
        """Tell whether the same was asked for again: by a later client, or with edited code.

        Who mends what failed, and runs it again, makes other digests of the same kind of keys. But
        a loop asks for many of a kind with the same code, and one of them doesn't make up for
        another.
        """
        asked = _asked_for(view.record)
        return bool(asked) and any(
            asked <= others and (one.session != view.session or _is_edited(view, one))
            for one, others in self._plans
        )


def _asked_for(plan: PlanRecord) -> Set[str]:
    return {key_split(plan.keys[output]) for output in plan.wanted}


def _is_edited(earlier: PlanView, later: PlanView) -> bool:
    codes = later.record.codes
    return any(codes.get(name, code) != code for name, code in earlier.record.codes.items())


def _open_outputs(view: PlanView) -> Iterator[tuple[ShardId, Iterable[int]]]:
    """Give the shards that came to nothing, with the numbers of their outputs in the plan."""
    counts = [count for stage in view.record.stages for count in stage.outputs]
    ends = accumulate(counts)
    for stage in view.stages:
        for index, condition in enumerate(stage.conditions):
            end, count = next(ends), stage.record.outputs[index]
            if condition in _REPLACEABLE:
                yield ShardId(stage.id, index), range(end - count, end)


def _without(view: PlanView, again: Set[ShardId]) -> PlanView:
    stages = [
        replace(
            stage,
            conditions=[
                ShardCondition.REPLACED if ShardId(stage.id, index) in again else condition
                for index, condition in enumerate(stage.conditions)
            ],
        )
        for stage in view.stages
    ]
    return PlanView(view.record, stages)
