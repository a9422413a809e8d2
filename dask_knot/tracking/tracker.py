"""The tracker: events in, actions out; it decides, and does nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Set
from dataclasses import dataclass, replace
from typing import Any

from dask.typing import Key

from dask_knot.planning import Limits, Resources
from dask_knot.run.manifest import Place
from dask_knot.run.names import Names, ShardId, StageId
from dask_knot.run.orders import Orders
from dask_knot.tracking import (
    adoption,
    collisions,
    demand,
    events,
    gathering,
    mending,
    outcomes,
    plans,
)
from dask_knot.tracking.actions import Action
from dask_knot.tracking.catalog import Catalog
from dask_knot.tracking.foresight import Foresight, foresee
from dask_knot.tracking.inflow import Inflow
from dask_knot.tracking.memory import MemoryNeeds
from dask_knot.tracking.mistakes import give_up
from dask_knot.tracking.moves import KeyState
from dask_knot.tracking.pace import Mending, Pace
from dask_knot.tracking.records import ShardRecord
from dask_knot.tracking.snapshot import Snapshot, plans_of, snapshot
from dask_knot.tracking.state import TrackerState
from dask_knot.tracking.tally import Tally

__all__ = ["Held", "Pace", "Tracker"]


@dataclass(frozen=True, slots=True)
class Held:
    """The hold of a session on a run that has a name: nothing in it is deleted.

    Attributes
    ----------
    first_plan : int
        The number of the first plan: other sessions of the same run have others.
    reuses : bool
        Whether what was made before is taken for what is asked for.
    """

    first_plan: int = 0
    reuses: bool = True


class Tracker:
    """Knows of every wanted key, and of every value between shards, where it stands.

    Parameters
    ----------
    names : Names
        What the objects of the run are called.
    limits : Limits
        What the planner keeps to.
    default : Resources
        What a job has unless its tasks ask for something else.
    pace : Pace
        How long small graphs are gathered.
    held : Held, optional
        What goes with a run that has a name.
    mended : Mending, optional
        How plans that are under way are mended.
    """

    def __init__(
        self,
        names: Names,
        limits: Limits,
        default: Resources,
        pace: Pace,
        held: Held | None = None,
        mended: Mending | None = None,
    ) -> None:
        self._state = TrackerState(names, limits, default, Inflow(pace))
        self._state.mending = mended or Mending()
        if held is not None:
            self._state.keeps = True
            self._state.plans = held.first_plan
            self._state.catalog = Catalog(held.reuses)

    def handle(self, event: events.Event, now: float) -> list[Action]:
        """Take in what happened.

        Parameters
        ----------
        event : Event
            What happened.
        now : float
            When, in seconds on a clock that never goes back.

        Returns
        -------
        list of Action
            What is to be done, in this order.
        """
        state = self._state
        _HANDLERS[type(event)](state, event, now)
        if state.takers:
            gathering.take_or_gather(state, now)
        if state.drafts:
            gathering.plan_if_due(state, now)
        return self._decided()

    def give_up(self, error: Exception, event: events.Event | None = None) -> list[Action]:
        """Err all keys that have no outcome, after a mistake: nobody may wait for ever.

        Parameters
        ----------
        error : Exception
            What the keys err with.
        event : Event, optional
            What could not be taken in.
        """
        give_up(self._state, error, event if isinstance(event, events.KeyAsked) else None)
        return self._decided()

    def _decided(self) -> list[Action]:
        actions, self._state.actions = self._state.actions, []
        return actions

    def due(self) -> float | None:
        """Tell when `Ticked` should come at the latest, on the clock of `now`."""
        return gathering.due(self._state)

    @property
    def is_idle(self) -> bool:
        """Nothing runs and nothing waits to be planned."""
        return self._state.is_idle

    @property
    def is_taking(self) -> bool:
        """A graph of a client is being taken up."""
        return self._state.inflow.arriving > 0

    @property
    def slots(self) -> int:
        """The number of jobs that may run at once."""
        return self._state.limits.slots

    @property
    def next_plan(self) -> int:
        """The number that the next plan will have."""
        return self._state.plans

    def running_plans(self) -> set[int]:
        """Number the plans that have shards that aren't done."""
        return {id.plan for id in self._state.running}

    def known_stages(self) -> set[StageId]:
        """Name the stages that run, or whose objects are still needed."""
        return set(self._state.stages)

    def open_stages(self) -> list[StageId]:
        """List the stages that have shards that aren't done, in the order of their plans."""
        return sorted(self._state.running)

    def open_shards(self, stages: Iterable[StageId]) -> list[ShardId]:
        """List the shards of some stages that aren't done."""
        known = filter(None, map(self._state.stages.get, stages))  # others ask from their threads
        return [
            shard.id
            for stage in known
            for shard in stage.shards
            if shard.is_open and shard.id is not None
        ]

    def is_mending(self, now: float) -> bool:
        """Tell whether it is time to look whether what runs is to be mended."""
        return mending.is_due(self._state, now)

    def orders_of(self, stage: StageId) -> Orders:
        """Tell what the children of a stage are to do."""
        known = self._state.stages.get(stage)
        return known.told() if known is not None else Orders()

    def opening(self, shard: ShardId) -> int | None:
        """Number the opening since which a shard is known and not done; None if it isn't so."""
        record = self._shard(shard)
        return record.opening if record is not None and record.is_open else None

    def outputs_of(self, shard: ShardId) -> list[Key]:
        """List the keys whose values a shard writes; none if it is known no longer."""
        record = self._shard(shard)
        return [output.key for output in record.outputs] if record is not None else []

    def _shard(self, id: ShardId) -> ShardRecord | None:
        stage = self._state.stages.get(id.stage)
        return stage.shards[id.index] if stage is not None else None

    @property
    def is_planned(self) -> bool:
        """Nothing waits to be planned but what waits for others."""
        return self._state.planning is None and gathering.next_draft(self._state) is None

    @property
    def is_held(self) -> bool:
        """Something waits to be planned until it is known of others what they do."""
        return any(adoption.is_held(self._state, draft) for draft in self._state.drafts)

    def knows(self, key: Key) -> bool:
        """Tell whether a key is one that some session of the run was asked for."""
        return key in self._state.keys or self._state.catalog.knows(key)

    def digest_of(self, key: Key) -> bytes | None:
        """Give the digest of the work that makes a key, or of its content."""
        record = self._state.keys.get(key)
        return collisions.content(record) if record is not None else None

    def place_of(self, key: Key) -> Place | None:
        """Tell where the value of a key is, if it is stored."""
        record = self._state.keys.get(key)
        if record is None or record.state is not KeyState.STORED or record.output is None:
            return None
        return record.output.place

    def shard_of(self, key: Key) -> ShardId | None:
        """Tell which shard makes the value of a key, or made it last."""
        record = self._state.keys.get(key)
        return record.shard.id if record is not None and record.shard is not None else None

    def failure_of(self, key: Key) -> Place | Exception | None:
        """Tell where the failure is that stands for the value of a key, if one does."""
        record = self._state.keys.get(key)
        if record is None or record.state is not KeyState.ERRED:
            return None
        return record.error or (record.output.place if record.output else None)

    def graph_of(self, key: Key) -> events.Graph | None:
        """Find a graph that has the task of a key, be it wanted or inside a shard."""
        records = self._state.keys
        record = records.get(key)
        if record is not None and record.graph is not None:
            return record.graph
        graphs = {record.graph for record in records.values() if record.graph is not None}
        return next((graph for graph in graphs if key in graph.tasks), None)

    def plans_of(self, keys: Iterable[Key]) -> tuple[set[int], int]:
        """Name the plans that make some keys, and count the keys that are to be planned."""
        return plans_of(self._state, keys)

    def snapshot(self, plans: Collection[int] | None = None) -> Snapshot:
        """Look at some plans and those that they wait for, or at all of the present activity."""
        return snapshot(self._state, plans)

    def tallies(self) -> dict[StageId, Tally]:
        """Give the stages in numbers, those of the last while that are over included."""
        return dict(self._state.tallies)  # in one step: other threads ask, too

    def foresee(self, graph: events.Graph, lost: Set[ShardId] = frozenset()) -> Foresight:
        """Tell what the planner would be asked if a graph came now; nothing changes.

        Of shards that are `lost` nothing is expected.
        """
        return foresee(self._state, graph, lost)

    @property
    def memory(self) -> MemoryNeeds:
        """What jobs turned out to need; it takes what they may be given."""
        return self._state.memory

    def resize(self, slots: int) -> None:
        """Plan for another number of slots from now on."""
        self._state.limits = replace(self._state.limits, slots=slots)


_HANDLERS: dict[type[Any], Callable[[TrackerState, Any, float], None]] = {
    events.ArrivalBegan: demand.begin_arrival,
    events.ArrivalEnded: demand.end_arrival,
    events.GraphSubmitted: demand.submit,
    events.GraphTaken: demand.take,
    events.KeyAsked: demand.ask,
    events.KeyReleased: demand.release,
    events.ValuesScattered: demand.scatter,
    events.ValueLost: demand.lose,
    events.EntriesFound: adoption.take_entries,
    events.KeyRecalled: adoption.recall,
    events.StageFound: adoption.settle_stage,
    events.StageStarted: mending.note_start,
    events.Leaving: gathering.hurry,
    events.PlanMade: plans.record_plan,
    events.PlanOutrun: gathering.plan_rest,
    events.PlanningFailed: plans.refuse_plan,
    events.ManifestFound: outcomes.take_manifest,
    events.ChildFailed: outcomes.take_failed_child,
    events.SubmissionFailed: outcomes.take_failed_submission,
    events.Ticked: mending.mend,
    events.CostsRecalled: outcomes.recall_costs,
}
