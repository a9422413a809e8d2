"""The tracker as people see it: numbers at one moment."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from dask.typing import Key

from dask_knot.run.names import StageId
from dask_knot.tracking.moves import KeyState, ShardState
from dask_knot.tracking.state import TrackerState
from dask_knot.tracking.tally import EarlierTally, Tally


@dataclass(frozen=True, slots=True)
class Count:
    """Tasks of one prefix: those that ran well, those that erred or couldn't run, and all."""

    done: int = 0
    erred: int = 0
    total: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.done + other.done, self.erred + other.erred, self.total + other.total)


@dataclass(frozen=True, slots=True)
class StageSeen:
    """A stage: its shards by state, its tasks by prefix, and when they ran (see `Tally`)."""

    id: StageId
    shards: Mapping[ShardState, int]
    tasks: Mapping[str, Count]
    span: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Work that runs, ran or waits.

    Attributes
    ----------
    stages : tuple of StageSeen
        In the order of their plans.
    tasks : mapping of str to Count
        The tasks of these stages by prefix, in the order in which they run.
    waiting : int
        Tasks that are to be planned.
    stored : int
        Bytes of the values in the store.
    moved : mapping of str to int
        Bytes that jobs have ``read`` from the store and ``written`` there.
    """

    stages: tuple[StageSeen, ...]
    tasks: Mapping[str, Count]
    waiting: int
    stored: int
    moved: Mapping[str, int]


def snapshot(state: TrackerState, plans: Collection[int] | None = None) -> Snapshot:
    """Look at some plans and those that they wait for, or at all of the present activity.

    Activity is present from the first graph that came after some seconds without any. Of very many
    stages, those that have been over for long are in `tasks` only.
    """
    if plans is None:
        chosen = [tally for tally in state.tallies.values() if tally.id.plan >= state.since]
    else:
        chosen = _with_earlier(state.tallies.values(), plans)
    stages = tuple(
        StageSeen(tally.id, dict(tally.shards), _counts(tally), tally.span) for tally in chosen
    )
    tasks = _counts(state.earlier) if plans is None else {}
    for stage in stages:
        for prefix, count in stage.tasks.items():
            tasks[prefix] = tasks.get(prefix, Count()) + count
    return Snapshot(stages, tasks, _waiting(state), state.stored, dict(state.moved))


def plans_of(state: TrackerState, keys: Iterable[Key]) -> tuple[set[int], int]:
    """Name the plans that make some keys, and count the keys that are to be planned."""
    plans: set[int] = set()
    waiting = 0
    for key in keys:
        record = state.keys.get(key)
        if record is None:
            continue
        waiting += record.state is KeyState.WAITING
        if record.shard is not None and record.shard.id is not None:
            plans.add(record.shard.id.stage.plan)
    return plans, waiting


def _with_earlier(tallies: Collection[Tally], plans: Collection[int]) -> list[Tally]:
    """Choose the stages of some plans and of all that they wait for, which are earlier ones."""
    needed = set(plans)
    chosen = []
    for tally in sorted(tallies, key=lambda tally: tally.id, reverse=True):
        if tally.id.plan in needed:
            needed |= tally.after
            chosen.append(tally)
    return chosen[::-1]


def _counts(tally: Tally | EarlierTally) -> dict[str, Count]:
    return {
        prefix: Count(tally.done[prefix], tally.erred[prefix], total)
        for prefix, total in tally.total.items()
        if total
    }


def _waiting(state: TrackerState) -> int:
    drafts = [*state.drafts, *([state.planning[1]] if state.planning else [])]
    return sum(len(draft.tasks) - len(draft.literals) for draft in drafts)
