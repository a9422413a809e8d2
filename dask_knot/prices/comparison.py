"""Regions side by side: what the same work costs there, and how likely Spot is to be had. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from dask_knot.planning.resources import Resources
from dask_knot.prices.money import Money
from dask_knot.prices.offers import share_of
from dask_knot.prices.pricelist import FARGATE, ON_DEMAND, SPOT, PriceList
from dask_knot.prices.tariff import MIB, Market, Tariff

NOT_KNOWN, NOT_ASKED = "not known", "not asked"


@dataclass(frozen=True, slots=True)
class WantedWork:
    """Work that wants a place.

    Attributes
    ----------
    size : Resources
        What one job has.
    hours : float
        Hours of all jobs together.
    jobs : int
        Jobs at once.
    architecture : str
        ``amd64`` or ``arm64``.
    types : tuple of str
        Types or families of machines.
    """

    size: Resources
    hours: float = 1.0
    jobs: int = 1
    architecture: str = "amd64"
    types: tuple[str, ...] = ("optimal",)


@dataclass(frozen=True, slots=True)
class RegionCost:
    """A region, and what work costs there.

    Attributes
    ----------
    region : str
        Its name.
    on_demand, fargate : Money or None
        What the work costs, on machines that are full; None if that isn't known.
    spot : Money or None
        The same on Spot at today's prices; None if they weren't asked for.
    week : Money or None
        The same by the prices of the last days.
    score : int or None
        From 1 to 10: how likely AWS has so many Spot machines.
    """

    region: str
    on_demand: Money | None
    fargate: Money | None
    spot: Money | None = None
    week: Money | None = None
    score: int | None = None

    def row(self) -> list[str]:
        """Write it as a row of a table."""
        spot = NOT_ASKED if self.spot is None else str(self.spot)
        week = "" if self.week is None else str(self.week)
        score = NOT_ASKED if self.score is None else f"{self.score} of 10"
        dear = (NOT_KNOWN if one is None else str(one) for one in (self.on_demand, self.fargate))
        on_demand, fargate = dear
        return [self.region, on_demand, spot, week, score, fargate]


HEADS = ("region", "on demand", "Spot", "Spot, 7 days", "Spot to be had", "Fargate")


def places(
    prices: PriceList,
    wanted: WantedWork,
    regions: Iterable[str],
    history: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
    scores: Mapping[str, int] | None = None,
) -> list[RegionCost]:
    """Compare regions: the cheapest first, those whose prices aren't known last.

    Parameters
    ----------
    prices : PriceList
        What is known; of Spot with what was asked for just now.
    wanted : WantedWork
        The work.
    regions : iterable of str
        The regions.
    history : mapping of str to mapping of str to sequence of float, optional
        Spot prices of the last days, the newest of each zone first, by region and type.
    scores : mapping of str to int, optional
        Placement scores, by region.
    """
    found = [
        _place(prices, wanted, region, (history or {}).get(region, {}), (scores or {}).get(region))
        for region in regions
    ]
    return sorted(found, key=_order)


def types_of(prices: PriceList, wanted: WantedWork, regions: Iterable[str]) -> list[str]:
    """Name the types of machines that the work would run on, in any of the regions."""
    tariffs = (_tariff(prices, wanted, region, ON_DEMAND) for region in regions)
    return sorted({one.name for tariff in tariffs for one in tariff.types(wanted.size)})


def _place(
    prices: PriceList,
    wanted: WantedWork,
    region: str,
    history: Mapping[str, Collection[float]],
    score: int | None,
) -> RegionCost:
    spot = _tariff(prices, wanted, region, SPOT)
    known = [one for one in spot.types(wanted.size) if prices.is_spot_known(one.name, region)]
    now = [prices.instance(one.name, region, SPOT) for one in known]
    size, memory = wanted.size, (wanted.size.memory or 0) / MIB
    shares = [share_of(one, size.vcpus, memory, size.gpus) for one in known]
    week = [
        Money(min(history[one.name]), max(history[one.name])) * share
        for one, share in zip(known, shares, strict=True)
        if history.get(one.name)
    ]
    return RegionCost(
        region,
        _cost(_tariff(prices, wanted, region, ON_DEMAND), wanted),
        _cost(_tariff(prices, wanted, region, FARGATE), wanted),
        _either([p * share for p, share in zip(now, shares, strict=True) if p], wanted.hours),
        _either(week, wanted.hours),
        score,
    )


def _cost(tariff: Tariff, wanted: WantedWork) -> Money | None:
    if not tariff.is_known(wanted.size):
        return None
    return tariff.full(wanted.size) * wanted.hours


def _tariff(prices: PriceList, wanted: WantedWork, region: str, lifecycle: str) -> Tariff:
    return Tariff(prices, Market(region, (lifecycle,), wanted.architecture, wanted.types))


def _either(found: Sequence[Money], hours: float) -> Money | None:
    return reduce(or_, found) * hours if found else None


def _order(place: RegionCost) -> tuple[bool, float, float, str]:
    dear = place.on_demand.low if place.on_demand is not None else 0.0
    cheap = place.spot.low if place.spot is not None else dear
    return place.on_demand is None and place.spot is None, cheap, dear, place.region
