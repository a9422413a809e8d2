"""The purse of a session: what its plans will cost, and the budget that they have to keep to."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from threading import Lock

from dask_knot.errors import BudgetError, PriceError
from dask_knot.planning import Plan, Resources
from dask_knot.prices.budget import CURE, Budget
from dask_knot.prices.money import Money, amount
from dask_knot.prices.plancost import PlanCost, plan_cost, stage_cost
from dask_knot.prices.pricelist import PriceList
from dask_knot.prices.tariff import Market, Tariff
from dask_knot.run.names import ShardId, StageId
from dask_knot.settings.settings import Settings


@dataclass(slots=True)
class _Admitted:
    """A stage that may be submitted: what a shard costs, how many there are.

    The tracker hears of it a little later: until then all its shards count.
    """

    dollars: float
    shards: int
    is_told: bool = False


@dataclass(slots=True)
class Purse:
    """Knows what plans cost where jobs cost anything, and holds those of a session to its budget.

    Plans are admitted in the thread that submits; what is spent is looked at in the event loop.

    Attributes
    ----------
    tariff : Tariff, optional
        What jobs cost; None where they cost nothing.
    start_seconds : float
        What the start of a job takes.
    budget : Budget, optional
        What may be spent.
    open_shards : callable
        Takes stages, and names their shards that aren't over.
    spent : callable
        Gives what was spent until now.
    """

    tariff: Tariff | None
    start_seconds: float
    budget: Budget | None
    open_shards: Callable[[Collection[StageId]], Collection[ShardId]]
    spent: Callable[[], Money]
    _planned: dict[StageId, _Admitted] = field(default_factory=dict)
    _refusal: str | None = None
    _lock: Lock = field(default_factory=Lock)

    def cost(self, plan: Plan) -> PlanCost | None:
        """Give what a plan costs; None where nothing costs anything."""
        return None if self.tariff is None else plan_cost(plan, self.tariff, self.start_seconds)

    def lines(self, plan: Plan) -> list[str]:
        """Say what a plan costs, and what that is known from; nothing where nothing costs."""
        cost = self.cost(plan)
        if cost is None or self.tariff is None or not plan.stages:
            return []
        lines = [f"money: {cost.money} ({self.tariff.said(plan.stages[0].resources)})"]
        if self.budget is not None:
            refusal = self.budget.refusal(self.spent(), self._under_way(), cost)
            kept = f"within max_cost={amount(self.budget.limit)} USD"
            lines.append(f"money: {f'it would be refused: {refusal}' if refusal else kept}")
        return [*lines, *(f"money: {note}" for note in self.tariff.prices.notes)]

    def admit(self, number: int, plan: Plan) -> None:
        """Take a plan that is going to be submitted.

        Raises
        ------
        BudgetError
            If it costs more than is left.
        """
        if self.budget is None or self.tariff is None or not plan.stages:
            return
        if self._refusal is not None:
            raise BudgetError(self._refusal)
        costs = [stage_cost(stage, self.tariff, self.start_seconds) for stage in plan.stages]
        wanted = sum(costs[1:], start=costs[0])
        if refusal := self.budget.refusal(self.spent(), self._under_way(), wanted):
            raise BudgetError(f"{refusal}: it was not submitted; {CURE}")
        with self._lock:
            for index, (stage, cost) in enumerate(zip(plan.stages, costs, strict=True)):
                count = len(stage.shards)
                self._planned[StageId(number, index)] = _Admitted(cost.counted / count, count)

    def told(self, number: int) -> None:
        """Note that the tracker has heard of a plan, or that there will be none."""
        with self._lock:
            for stage, admitted in self._planned.items():
                admitted.is_told |= stage.plan == number

    def overdraft(self) -> BudgetError | None:
        """Give the error that ends what runs, if more was spent than may be, once; else None."""
        if self.budget is None or self.tariff is None or self._refusal is not None:
            return None
        self._refusal = self.budget.end(self.spent())
        return None if self._refusal is None else BudgetError(self._refusal)

    def _under_way(self) -> float:
        """Add up what counts of the shards that are submitted and aren't over."""
        total = 0.0
        with self._lock:
            for stage, one in [*self._planned.items()]:
                count = len(self.open_shards([stage])) if one.is_told else one.shards
                total += one.dollars * count
                if not count:
                    del self._planned[stage]
        return total


def open_purse(
    settings: Settings,
    size: Resources,
    market: Market | None,
    open_shards: Callable[[Collection[StageId]], Collection[ShardId]],
    spent: Callable[[], Money],
    prices: Callable[[], PriceList],
) -> Purse:
    """Make the purse of a session.

    Raises
    ------
    PriceError
        If there is a budget, and nobody knows what jobs cost where they run.
    """
    start = settings.tempo.job_start
    if market is None:
        return Purse(None, start, None, open_shards, spent)
    tariff = Tariff(prices(), market)
    if settings.max_cost is None:
        return Purse(tariff, start, None, open_shards, spent)
    if not tariff.is_known(size):
        raise PriceError(
            f"max_cost={amount(settings.max_cost)} USD can't be enforced: the cost of a job "
            f"in {market.region} isn't known here. Ask AWS with `dask knot prices --refresh "
            f"--region {market.region}`, or leave max_cost out"
        )
    return Purse(tariff, start, Budget(settings.max_cost), open_shards, spent)
