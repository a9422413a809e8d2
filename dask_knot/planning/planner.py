"""A request goes in, a plan comes out: the one way through this room."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from math import sqrt

from dask.utils import format_time

from dask_knot.planning.dependencies import join_upstream, link_stages
from dask_knot.planning.folding import fold
from dask_knot.planning.footprint import Footprint, warning
from dask_knot.planning.graph import NumberedGraph, build_graph
from dask_knot.planning.partition import Block, Partition
from dask_knot.planning.plan import Plan, Stage
from dask_knot.planning.request import Limits, PlanRequest
from dask_knot.planning.room import partition_to_fit
from dask_knot.planning.shards import ShardBuilder, count_prefixes, split_blocks
from dask_knot.planning.sizing import widest
from dask_knot.plural import many

# Prefixes of unknown length that the reasons name; the others are counted.
_NAMED = 3


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
    footprint = Footprint(graph, request.limits)
    cut, room = partition_to_fit(graph, request.limits, footprint)
    folded, reasons = fold(graph, cut, request.limits, room)
    blocks = split_blocks(folded, request.limits.array_size)
    builder = ShardBuilder(graph, folded, request.is_ordered)
    stages = _stages(request, graph, builder, blocks)
    is_certain = room is None or not room.worst()  # that all fits, or that nobody knows
    warnings = [] if is_certain else _warnings(request.plan, graph, builder, blocks, footprint)
    joined = join_upstream(stages, request.limits.upstream_arrays, request.default)
    return Plan(
        joined,
        (
            *_first_reasons(graph, cut, request.limits),
            *_unknown_reasons(stages, graph, request),
            *cut.reasons,
            *reasons,
            *_last_reasons(folded, len(blocks), len(joined)),
            *warnings,
        ),
        tuple(warnings),
    )


def _stages(
    request: PlanRequest, graph: NumberedGraph, builder: ShardBuilder, blocks: Sequence[Block]
) -> list[Stage]:
    linked = link_stages(builder.readings(blocks, request))
    return [
        Stage(
            shards=tuple([builder.shard(number) for number in block.shards]),
            resources=graph.resources[block.kind],
            depends_on=depends_on,
        )
        for block, depends_on in zip(blocks, linked, strict=True)
    ]


def _warnings(
    plan: str,
    graph: NumberedGraph,
    builder: ShardBuilder,
    blocks: Sequence[Block],
    footprint: Footprint,
) -> list[str]:
    """Say which stages hold more values at once than their jobs have memory, as far as is known."""
    found = []
    for number, block in enumerate(blocks):
        memory = graph.resources[block.kind].memory
        sizes = [footprint.exceeds(builder.order(shard), memory) for shard in block.shards]
        if memory is not None and any(sizes):
            found.append(warning(f"{plan}.{number}", [size for size in sizes if size], memory))
    return found


def _first_reasons(graph: NumberedGraph, cut: Partition, limits: Limits) -> list[str]:
    """Say the shape, and what of the plan's tasks was known."""
    shards = [sum(len(block.shards) for block in level) for level in cut.levels]
    reasons = [
        f"{many('task', len(graph))} for {many('slot', limits.slots)}: "
        f"level{'s' if len(shards) > 1 else ''} of {many('shard', *shards)}"
    ]
    if known := len(graph) - sum(graph.unknown):
        seconds = sum(graph.weights)
        mean, off = seconds / known, sqrt(graph.unevenness * seconds / known)
        spread = f" give or take {format_time(off)}" if off else ""
        reasons.append(
            f"{many('task', known)} of known length: {format_time(seconds)} of work, "
            f"{format_time(mean)}{spread} each"
        )
    return reasons


def _unknown_reasons(
    stages: Sequence[Stage], graph: NumberedGraph, request: PlanRequest
) -> list[str]:
    """Say of which tasks nothing is known, and how wide they go for that."""
    if not any(graph.unknown):
        return []
    if request.seconds:
        found = count_prefixes(compress(graph.keys, graph.unknown))
    else:
        found = {}
        for stage in stages:
            for shard in stage.shards:
                for prefix, tasks in shard.prefixes.items():
                    if prefix not in request.costs:
                        found[prefix] = found.get(prefix, 0) + tasks
    most = sorted(found, key=lambda prefix: -found[prefix])
    wide = widest(request.limits)
    reasons = [
        f"nothing is known about {many('task', found[prefix])} of {prefix!r}"
        + (f": a job each, up to {wide:,}" if found[prefix] > 1 else "")
        for prefix in most[:_NAMED]
    ]
    if len(most) > _NAMED:
        rest = many("task", sum(found[prefix] for prefix in most[_NAMED:]))
        reasons.append(f"nor about {rest} of other prefixes")
    return reasons


def _last_reasons(cut: Partition, stages: int, joined: int) -> list[str]:
    reasons = []
    blocks = sum(len(level) for level in cut.levels)
    if blocks > len(cut.levels):
        levels = many("level", len(cut.levels))
        reasons.append(f"{blocks} blocks on {levels}: tasks need different resources, or wait")
    if stages > blocks:
        reasons.append(f"{many('block', blocks)} split into {stages} stages: arrays are limited")
    if joined > stages:
        reasons.append(
            f"{many('joining stage', joined - stages)}: too many upstream arrays for one job"
        )
    return reasons
