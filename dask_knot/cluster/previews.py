"""What is said of collections before anything of them is computed: plans, and estimates."""

from __future__ import annotations

from distributed.utils import offload

from dask_knot.cluster.arrivals import opened_graph, refusal_lines
from dask_knot.dashboard.drawing import PlanDrawing, PriorWork
from dask_knot.dashboard.estimate import Estimate
from dask_knot.digests import GraphDigests
from dask_knot.estimates.forecast import Forecast
from dask_knot.graphs.constants import Constants
from dask_knot.graphs.opening import OpenedGraph, SentGraph
from dask_knot.planning import Plan, PlanRequest, make_plan
from dask_knot.planning.outline import outline
from dask_knot.run.names import plan_number
from dask_knot.session.forecasting import forecast_of
from dask_knot.session.session import Session


async def estimate_sent(
    session: Session, sent: SentGraph, sample: int, optimize: str | None
) -> Forecast:
    """Try a few tasks of what a client would send, and say what all of it will take."""
    opened = await opened_graph(session, Constants(), sent)
    return await forecast_of(session, opened.graph, sample, optimize)


async def foresee_plan(session: Session, sent: SentGraph) -> PlanDrawing:
    """Plan what a client would send, with what is known now, as if it came alone; nothing runs."""
    opened = await opened_graph(session, Constants(), sent)
    request, sizes, known, *_ = await session.foresee(opened.graph)
    plan = await offload(make_plan, request) if request is not None else Plan(())
    prior = None if opened.work is None else _prior_work(opened, opened.work, request)
    limits = None if request is None else request.limits
    drawn = outline(plan, set(opened.graph.wanted), sizes, limits)
    money, cost = session.purse.lines(plan), session.purse.cost(plan)
    estimate = Estimate(drawn, session.slots, known, money, cost.money if cost else None)
    return PlanDrawing(estimate, prior, plan_number(session.progress.next_plan))


def _prior_work(opened: OpenedGraph, work: GraphDigests, request: PlanRequest | None) -> PriorWork:
    tasks = len(opened.graph.tasks.keys() - opened.graph.literals)
    missing = 0 if request is None else len(request.dependencies.keys() - set(request.literals))
    return PriorWork(max(0, tasks - missing), tasks, refusal_lines(work))
