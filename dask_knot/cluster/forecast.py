"""How collections would run: the real planner's plan, and nothing that runs."""

from __future__ import annotations

from distributed.utils import offload

from dask_knot.dashboard.drawing import PlanDrawing
from dask_knot.graphs.annotations import Bounds
from dask_knot.graphs.constants import Constants
from dask_knot.graphs.opening import SentGraph, open_graph
from dask_knot.planning import Plan, make_plan
from dask_knot.planning.outline import outline
from dask_knot.session.session import Session


async def foresee_plan(session: Session, sent: SentGraph) -> PlanDrawing:
    """Plan what a client would send, with what is known now, as if it came alone."""
    bounds = Bounds(session.size, session.largest)
    opened = await offload(
        open_graph,
        sent.packed,
        sent.keys,
        sent.annotations,
        bounds,
        Constants(),
        session.is_here,
    )
    request, sizes, timed = session.tracker.foresee(opened.graph)
    plan = await offload(make_plan, request) if request is not None else Plan(())
    return PlanDrawing(outline(plan, set(opened.graph.wanted), sizes, timed), session.slots)
