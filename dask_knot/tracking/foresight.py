"""A look ahead: the request that the planner would get if a graph came now. Nothing changes."""

from __future__ import annotations

from collections.abc import Mapping, Set
from copy import copy
from types import MappingProxyType
from typing import NamedTuple

from dask.utils import key_split

from dask_knot.planning import PlanRequest
from dask_knot.planning.outline import Sizes
from dask_knot.run.names import ShardId
from dask_knot.tracking import demand, gathering
from dask_knot.tracking.actions import MakePlan
from dask_knot.tracking.durations import KnownFrom
from dask_knot.tracking.events import Graph, GraphSubmitted
from dask_knot.tracking.inflow import Inflow
from dask_knot.tracking.moves import KeyEvent, KeyState
from dask_knot.tracking.pace import Pace
from dask_knot.tracking.records import KeyRecord
from dask_knot.tracking.state import TrackerState


class Foresight(NamedTuple):
    """The facts about a plan before it is made.

    Attributes
    ----------
    request : PlanRequest, optional
        What the planner would be asked; None if all that is wanted is there or coming.
    sizes : Sizes
        What is known of the bytes of values.
    timed : mapping of str to KnownFrom
        The prefixes of which it is known how long a task takes, and from where.
    adopted : set of ShardId
        Shards of other sessions that make what isn't planned, or have made it.
    peaks : mapping of str to int
        The most memory that a job is known to have had while tasks ran, by their prefix.
    """

    request: PlanRequest | None
    sizes: Sizes
    timed: Mapping[str, KnownFrom]
    adopted: Set[ShardId] = frozenset()
    peaks: Mapping[str, int] = MappingProxyType({})


def foresee(state: TrackerState, graph: Graph, lost: Set[ShardId] = frozenset()) -> Foresight:
    """Submit a graph to a copy of what the tracker knows, which plans at once.

    Of shards that are `lost` nothing is expected.
    """
    later = TrackerState(state.names, state.limits, state.default, Inflow(Pace(0.0, 0.0)))
    later.plans = state.plans
    later.keys = {key: _copied(record) for key, record in state.keys.items()}
    later.durations = durations = state.durations.copy()
    later.memory = state.memory.copy()
    later.catalog = state.catalog.copy(lost)
    demand.submit(later, GraphSubmitted(graph), 0.0)
    later.unsettled.clear()  # what would wait for jobs of others is planned all the same
    gathering.plan_if_due(later, 0.0)
    asked = [action.request for action in later.actions if isinstance(action, MakePlan)]
    there = {
        key: record.output.nbytes
        for key, record in state.keys.items()
        if record.state is KeyState.STORED and record.output is not None
    }
    sizes = Sizes(there, durations.nbytes)
    shards = (shard for stage in later.stages.values() for shard in stage.shards)
    adopted = {shard.id for shard in shards if shard.is_adopted and shard.id is not None}
    said = {key_split(key): KnownFrom.SAID for key in graph.seconds}
    return Foresight(
        next(iter(asked), None), sizes, durations.sources() | said, adopted, durations.peaks
    )


def _copied(record: KeyRecord) -> KeyRecord:
    """Copy a record; what waits to be planned will have been, so it is coming."""
    copied = copy(record)
    if copied.state is KeyState.WAITING:
        copied.move(KeyEvent.PLANNED)
    return copied
