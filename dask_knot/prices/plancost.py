"""What a plan will cost, as a range: pure.

At least what the known work costs on machines that are full; at most what it costs with one job on
each machine, with the starts of the jobs, and with no task beside another in its job. What tasks
cost of which nothing is known, nobody knows: then it is "at least". Requests to S3 are those that
every job makes: it reads its shard and its inputs, and writes its values and its manifest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from dask_knot.planning.plan import Plan, Stage
from dask_knot.prices.money import NOTHING, Money
from dask_knot.prices.tariff import FARGATE_LEAST, Tariff

HOUR = 3600.0


class PlanCost(NamedTuple):
    """What a plan, or a part of one, will cost.

    Attributes
    ----------
    money : Money
        From full machines to one job on each.
    counted : float
        Dollars that a budget counts: full machines, and a Spot price that isn't known as the full
        one.
    untimed : int
        Tasks of which nothing is known: they count as nothing.
    """

    money: Money = NOTHING
    counted: float = 0.0
    untimed: int = 0

    def __add__(self, other: object) -> PlanCost:
        if not isinstance(other, PlanCost):
            return NotImplemented
        return PlanCost(
            self.money + other.money, self.counted + other.counted, self.untimed + other.untimed
        )


def plan_cost(plan: Plan, tariff: Tariff, start_seconds: float) -> PlanCost:
    """Give what a plan will cost.

    Parameters
    ----------
    plan : Plan
        The plan.
    tariff : Tariff
        What jobs cost where they run.
    start_seconds : float
        What the start of one job takes.
    """
    costs = (stage_cost(stage, tariff, start_seconds) for stage in plan.stages)
    return _sum(costs)


def stage_cost(stage: Stage, tariff: Tariff, start_seconds: float) -> PlanCost:
    """Give what the jobs of a stage will cost, with their requests."""
    least = FARGATE_LEAST if tariff.is_fargate else 0.0
    beside = max(1.0, stage.resources.vcpus)  # so many tasks of a job run at once, at best
    quick = sum(max(least, shard.weight / beside) for shard in stage.shards) / HOUR
    slow = sum(max(least, shard.weight + start_seconds) for shard in stage.shards) / HOUR
    untimed = sum(shard.unknown for shard in stage.shards)
    full, alone = tariff.full(stage.resources), tariff.alone(stage.resources)
    requests = _requests(stage, tariff)
    most = math.inf if untimed or math.isinf(alone.high) else alone.high * slow
    counted = full.low if math.isinf(full.high) else full.high
    return PlanCost(
        Money(full.low * quick, most) + requests, counted * quick + requests.low, untimed
    )


def _requests(stage: Stage, tariff: Tariff) -> Money:
    rates = tariff.store
    if rates is None:
        return NOTHING
    shards = len(stage.shards)
    inputs = sum(len(shard.inputs) for shard in stage.shards)
    return rates.write * (1 + 2 * shards) + rates.read * (shards + inputs)


def _sum(costs: Iterable[PlanCost]) -> PlanCost:
    total = PlanCost()
    for cost in costs:
        total = total + cost
    return total
