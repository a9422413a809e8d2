"""Where work would be done, and what jobs cost there."""

from __future__ import annotations

from dataclasses import dataclass

from dask_knot.estimates.sizes import JobSize
from dask_knot.planning.resources import Resources
from dask_knot.prices.money import Money
from dask_knot.prices.offers import offers
from dask_knot.prices.pricelist import FARGATE, ON_DEMAND, SPOT, PriceList
from dask_knot.prices.tariff import Tariff

#: How jobs can be paid for: the lifecycle of their machines, and what these are.
WAYS = {
    "on demand": (ON_DEMAND, "amd64"),
    "Spot": (SPOT, "amd64"),
    "Fargate": (FARGATE, "amd64"),
    "ARM": (ON_DEMAND, "arm64"),
}
#: What the cluster at hand pays.
HERE = "here"
_MIB = 2**20
HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Venue:
    """Where the work would be done.

    Attributes
    ----------
    platform : {"local", "ec2", "fargate"}
        What runs the jobs.
    size : JobSize
        That of jobs, unless something else is chosen.
    slots : int
        Jobs of that size that run at once.
    most : int or None
        Bytes of memory that a job may have at most.
    region : str or None
        Of AWS, if it is known.
    prices : PriceList
        What is known of prices.
    tariff : Tariff or None
        What jobs of the cluster cost; None where they cost nothing.
    gpus : int
        GPUs of a job: what machines without any cost says nothing then.
    """

    platform: str
    size: JobSize
    slots: int
    most: int | None
    region: str | None
    prices: PriceList
    tariff: Tariff | None = None
    gpus: int = 0

    def costs(self, size: JobSize, seconds: float) -> dict[str, Money]:
        """Say what jobs of a size cost that take so many seconds together, as far as is known."""
        costs: dict[str, Money] = {}
        asked = Resources(size.cores, size.memory, self.gpus)
        if self.tariff is not None and self.tariff.is_known(asked):
            hour = self.tariff.full(asked) | self.tariff.alone(asked)
            costs[HERE] = hour * (seconds / HOUR)
        if self.region is None or self.gpus:
            return costs
        found = offers(self.prices, self.region, size.cores, size.memory / _MIB)
        for way, (lifecycle, architecture) in WAYS.items():
            hours = [
                one.hour
                for one in found
                if (one.lifecycle, one.architecture) == (lifecycle, architecture)
            ]
            if hours:
                costs[way] = min(hours, key=lambda hour: (hour.low, hour.high)) * (seconds / HOUR)
        return costs
