"""The rule of a budget: what may be submitted beside what is spent and planned. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dask_knot.prices.money import Money, amount
from dask_knot.prices.plancost import PlanCost

#: What to do about work that costs too much.
CURE = (
    "finished results are kept. Raise max_cost, or ask for less (`cluster.plan_of(...)` "
    "tells what it costs)"
)


@dataclass(frozen=True, slots=True)
class Budget:
    """Dollars that a session may spend.

    What was spent counts at its most, as far as that is known: Spot whose price isn't known counts
    as on demand. Work that nobody knows the time of counts as nothing until it is paid for.

    Attributes
    ----------
    limit : float
        Dollars.
    """

    limit: float

    def refusal(self, spent: Money, planned: float, wanted: PlanCost) -> str | None:
        """Say why a plan may not be submitted; None if it may.

        Parameters
        ----------
        spent : Money
            What jobs have cost until now.
        planned : float
            Dollars that count of what is submitted and not done.
        wanted : PlanCost
            What the plan costs.
        """
        used = counted(spent)
        left = self.limit - used - planned
        if wanted.counted <= left + _tolerance(self.limit) and used <= self.limit:
            return None
        beside = (
            (f" plus {amount(planned)} USD reserved for work that is running")
            if planned > 0
            else ""
        )
        left_words = f"{amount(left)} USD is left" if left > 0 else "nothing is left"
        return (
            f"this work costs {wanted.money}, but {left_words} of "
            f"max_cost={amount(self.limit)} USD: {amount(used)} USD is spent{beside}"
        )

    def end(self, spent: Money) -> str | None:
        """Say why what runs must end: more is spent than may be; None if it may go on."""
        used = counted(spent)
        if used <= self.limit + _tolerance(self.limit):
            return None
        return (
            f"{amount(used)} USD is spent, more than max_cost={amount(self.limit)} USD: "
            f"running jobs are stopped and nothing more is submitted; {CURE}"
        )


def counted(spent: Money) -> float:
    """Give the dollars that count of what was spent: the most, if anybody knows it."""
    return spent.low if math.isinf(spent.high) else spent.high


def _tolerance(limit: float) -> float:
    return limit * 1e-9
