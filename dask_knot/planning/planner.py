"""A request goes in, a plan comes out: the one way through this room."""

from __future__ import annotations

from collections.abc import Sequence

from dask.utils import format_time

from dask_knot.planning.dependencies import join_upstream, link_stages
from dask_knot.planning.folding import fold
from dask_knot.planning.graph import NumberedGraph, build_graph
from dask_knot.planning.partition import Block, Partition, partition
from dask_knot.planning.plan import Plan, Stage
from dask_knot.planning.request import PlanRequest
from dask_knot.planning.shards import ShardBuilder, split_blocks
from dask_knot.plural import many


def make_plan(request: PlanRequest) -> Plan:
    """Cut the tasks of a request into stages of shards.

    Parameters
    ----------
    request : PlanRequest
        The tasks, the wanted keys, what is known of them, and the limits.

    Returns
    -------
    Plan
        Every task that a wanted key needs in exactly one shard; stages in an order in which
        they can be submitted. The same request always gives the same plan.

    Raises
    ------
    UnknownInputError
        If a key is wanted or read that is neither a task nor external.
    PlanningError
        If tasks read each other in a circle.
    """
    graph = build_graph(request)
    if not len(graph):
        return Plan(())
    cut = partition(graph, request.limits)
    folded, reasons = fold(cut, request.limits)
    blocks = split_blocks(folded, request.limits.array_size)
    stages = _stages(request, graph, folded, blocks)
    joined = join_upstream(stages, request.limits.upstream_arrays, request.default)
    return Plan(
        joined,
        (
            _first_reason(graph, cut, request),
            *reasons,
            *_last_reasons(folded, len(blocks), len(joined)),
        ),
    )


def _stages(
    request: PlanRequest, graph: NumberedGraph, cut: Partition, blocks: Sequence[Block]
) -> list[Stage]:
    builder = ShardBuilder(graph, cut)
    linked = link_stages(builder.readings(blocks, request))
    return [
        Stage(
            shards=tuple([builder.shard(number) for number in block.shards]),
            resources=graph.resources[block.kind],
            depends_on=depends_on,
        )
        for block, depends_on in zip(blocks, linked, strict=True)
    ]


def _first_reason(graph: NumberedGraph, cut: Partition, request: PlanRequest) -> str:
    shards = [sum(len(block.shards) for block in level) for level in cut.levels]
    return (
        f"{many('task', len(graph))} of {format_time(sum(graph.weights))} for "
        f"{many('slot', request.limits.slots)}: "
        f"level{'s' if len(shards) > 1 else ''} of {many('shard', *shards)}"
    )


def _last_reasons(cut: Partition, stages: int, joined: int) -> list[str]:
    reasons = []
    blocks = sum(len(level) for level in cut.levels)
    if blocks > len(cut.levels):
        reasons.append(
            f"{blocks} blocks on {many('level', len(cut.levels))}: tasks need other resources"
        )
    if stages > blocks:
        reasons.append(f"{many('block', blocks)} split into {stages} stages: arrays are limited")
    if joined > stages:
        reasons.append(
            f"{many('joining stage', joined - stages)}: too many upstream arrays for one job"
        )
    return reasons
