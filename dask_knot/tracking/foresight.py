"""What the planner would be asked if a graph came now; nothing changes."""

from __future__ import annotations

from dataclasses import replace

from dask_knot.planning import PlanRequest
from dask_knot.planning.outline import Sizes
from dask_knot.tracking.actions import MakePlan
from dask_knot.tracking.events import Graph, GraphSubmitted
from dask_knot.tracking.records import KeyRecord
from dask_knot.tracking.state import Pace
from dask_knot.tracking.states import KeyState
from dask_knot.tracking.tracker import Tracker


def foresee(tracker: Tracker, graph: Graph) -> tuple[PlanRequest | None, Sizes]:
    """Submit a graph to a copy of a tracker that plans at once.

    Returns
    -------
    PlanRequest, optional
        What the planner would be asked; None if all that is wanted is there or coming.
    Sizes
        What is known of the bytes of values.
    """
    state = tracker.state
    copy = Tracker(state.run, state.limits, state.default, Pace(0.0, 0.0))
    copy.state.keys = {key: _copied(record) for key, record in state.keys.items()}
    copy.state.durations = state.durations
    actions = copy.handle(GraphSubmitted(graph), 0.0)
    asked = [action.request for action in actions if isinstance(action, MakePlan)]
    there = {
        key: record.output.nbytes
        for key, record in state.keys.items()
        if record.state is KeyState.STORED and record.output is not None
    }
    return next(iter(asked), None), Sizes(there, dict(state.durations.nbytes))


def _copied(record: KeyRecord) -> KeyRecord:
    """Copy a record; what waits to be planned will have been, so it is coming."""
    if record.state is KeyState.WAITING:
        return replace(record, state=KeyState.PLANNED, batch=None)
    return replace(record)
