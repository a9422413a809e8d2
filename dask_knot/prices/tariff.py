"""What an hour of a job costs where a cluster's jobs run: pure.

A job pays for its share of a machine that is full, and for all of one that it has to itself. Which
of them it will be nobody knows before, nor which of several types Batch takes: so there are two
prices, each a range over the types whose price is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import NamedTuple

from dask_knot.planning.fargate import nearest
from dask_knot.planning.resources import Resources
from dask_knot.prices.money import UNKNOWN, Money
from dask_knot.prices.offers import FAMILIES, KEPT, share_of
from dask_knot.prices.pricelist import (
    FARGATE,
    FARGATE_SPOT,
    ON_DEMAND,
    SPOT,
    MachineType,
    PriceList,
    StoreRates,
)

MIB = 2**20
#: Types that Batch chooses by itself.
OWN_CHOICE = ("optimal", "default_x86_64", "default_arm64")
#: Fargate counts a job as a minute at least.
FARGATE_LEAST = 60.0


class Market(NamedTuple):
    """Where the jobs of a cluster run, as far as it decides what they cost.

    Attributes
    ----------
    region : str
        Such as ``eu-central-1``.
    lifecycles : tuple of str
        How machines are paid for: of several, any may be.
    architecture : str
        ``amd64`` or ``arm64``.
    types : tuple of str
        Types of machines, families of them, or what stands for a choice of Batch's own.
    """

    region: str
    lifecycles: tuple[str, ...]
    architecture: str = "amd64"
    types: tuple[str, ...] = ("optimal",)


@dataclass(frozen=True, slots=True)
class Tariff:
    """What jobs cost in a market.

    Attributes
    ----------
    prices : PriceList
        What is known of prices.
    market : Market
        Where the jobs run.
    """

    prices: PriceList
    market: Market

    @property
    def is_fargate(self) -> bool:
        """Whether every job is a machine of its own, paid by size."""
        return {*self.market.lifecycles} <= {FARGATE, FARGATE_SPOT}

    @property
    def store(self) -> StoreRates | None:
        """What S3 costs there; None if it isn't known."""
        return self.prices.s3(self.market.region)

    def full(self, size: Resources) -> Money:
        """Give the price of an hour of a job whose machine is full of others like it."""
        return self._priced([price * share for price, share in self._offers(size)])

    def alone(self, size: Resources) -> Money:
        """Give the price of an hour of a job that has a machine to itself."""
        return self._priced([price for price, _ in self._offers(size)])

    def is_known(self, size: Resources) -> bool:
        """Tell whether anything is known of what a job of a size costs."""
        return any(True for _ in self._offers(size))

    def said(self, size: Resources) -> str:
        """Say of what the prices of a job are, from where, and of when."""
        market = self.market
        words = " or ".join(_WORDS[one] for one in market.lifecycles)
        if not self.is_known(size):
            asks = f"`dask knot prices --refresh --region {market.region}` asks AWS"
            return f"{words} in {market.region}: the price of such a job isn't known here; {asks}"
        text = f"{words} in {market.region}, {self.prices.said(market.region)}"
        if not self.is_fargate:
            text += "; the range is from full machines to one job on each"
        return text if self._is_spot_known(size) else f"{text}; {_SPOT_UNKNOWN}"

    def _is_spot_known(self, size: Resources) -> bool:
        market = self.market
        if FARGATE_SPOT in market.lifecycles:
            rates = self.prices.fargate(market.region, market.architecture, FARGATE_SPOT)
            return rates is None or rates.vcpu.low > 0
        if SPOT not in market.lifecycles:
            return True
        types = self.types(size)
        return all(self.prices.is_spot_known(one.name, market.region) for one in types)

    @staticmethod
    def _priced(known: list[Money]) -> Money:
        return reduce(or_, known) if known else UNKNOWN

    def _offers(self, size: Resources) -> Iterator[tuple[Money, float]]:
        """Give prices of machines that a job fits on, and its share of each."""
        vcpus, memory = size.vcpus, (size.memory or 0) / MIB
        region = self.market.region
        for lifecycle in self.market.lifecycles:
            if lifecycle in (FARGATE, FARGATE_SPOT):
                rates = self.prices.fargate(region, self.market.architecture, lifecycle)
                step = None if size.gpus else nearest(vcpus, memory)
                if rates is not None and step is not None:
                    yield rates.hour(*step), 1.0
                continue
            for one in self.types(size):
                price = self.prices.instance(one.name, region, lifecycle)
                if price is not None:
                    yield price, share_of(one, vcpus, memory, size.gpus)

    def types(self, size: Resources) -> list[MachineType]:
        """Give the types that may be taken and that a job fits on: of families the smallest."""
        market, memory = self.market, (size.memory or 0) / MIB + KEPT
        families = [name for name in market.types if "." not in name and name not in OWN_CHOICE]
        if any(name in OWN_CHOICE for name in market.types):
            families += FAMILIES
        found = [
            one
            for one in self.prices.fitting(market.region, size.vcpus, memory, families, size.gpus)
            if one.architecture == market.architecture
        ]
        named = [self.prices.type(name) for name in market.types if "." in name]
        return [
            *(found if families else []),
            *[one for one in named if one and one.fits(size.vcpus, memory, size.gpus)],
        ]


def most_memory(prices: PriceList, market: Market) -> int | None:
    """Give the bytes that a job may have at most on machines all of whose types are named.

    None where families are named, or Batch chooses itself, or a type isn't known: there may always
    be a larger one.
    """
    known = [prices.type(name) for name in market.types]
    sizes = [one.memory for one in known if one is not None]
    return (max(sizes) - KEPT) * MIB if sizes and len(sizes) == len(known) else None


_SPOT_UNKNOWN = "the Spot price isn't known: at most the on-demand price"
_WORDS = {
    ON_DEMAND: "EC2 on demand",
    SPOT: "EC2 Spot",
    FARGATE: "Fargate",
    FARGATE_SPOT: "Fargate Spot",
}
