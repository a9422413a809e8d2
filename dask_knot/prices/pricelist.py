"""What machines, Fargate and S3 cost, as dated sheets of prices say: pure.

None is "not known": no price here is ever a guess. A Spot price that isn't known is "at most that
of a machine on demand", which AWS promises, and is said to be unknown. A price of the newest sheet
that knows it counts; each says where it is from and how old.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from dask_knot.prices.money import NOTHING, Money

#: How a machine is paid for: the words of manifests.
ON_DEMAND, SPOT, FARGATE, FARGATE_SPOT = "on-demand", "spot", "fargate", "fargate-spot"
#: Names of an architecture that others use for Docker's.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
#: A price older than this is warned of.
OLD = datetime.timedelta(days=365)


class MachineType(NamedTuple):
    """A type of EC2 instances.

    Attributes
    ----------
    name : str
        Such as ``m7g.xlarge``.
    vcpus : int
        Its processors.
    memory : int
        Its memory in MiB.
    architecture : str
        ``amd64`` or ``arm64``.
    gpus : int
        Its graphics processors.
    """

    name: str
    vcpus: int
    memory: int
    architecture: str
    gpus: int = 0

    @property
    def family(self) -> str:
        """Name its family: ``m7g``."""
        return self.name.partition(".")[0]

    def share(self, vcpus: float, memory: float) -> float:
        """Give the part of the machine that a job of so many vCPUs and MiB takes: 1 is all."""
        return max(vcpus / self.vcpus, memory / self.memory)

    def fits(self, vcpus: float, memory: float, gpus: int = 0) -> bool:
        """Tell whether a job of such a size has room on it."""
        return vcpus <= self.vcpus and memory <= self.memory and gpus <= self.gpus


class FargateRates(NamedTuple):
    """What Fargate costs in a region: dollars for a vCPU and for a GiB, each an hour."""

    vcpu: Money
    gib: Money

    def hour(self, vcpus: float, memory: float) -> Money:
        """Give the price of an hour of a job of so many vCPUs and MiB: of a size that there is."""
        return self.vcpu * vcpus + self.gib * (memory / 1024)


class StoreRates(NamedTuple):
    """What S3 costs in a region: dollars for a request that writes or lists, one that reads, and a
    GiB that is kept for a month.
    """

    write: Money
    read: Money
    gib_month: Money


@dataclass(frozen=True, slots=True)
class PriceSheet:
    """Prices that were collected on one day.

    Attributes
    ----------
    date : datetime.date
        The day.
    source : str
        Where they are from, in words.
    types : mapping of str to MachineType
        By name.
    instances : mapping of str to mapping of str to float
        Dollars an hour on demand, by region and type.
    spot : mapping of str to mapping of str to mapping of str to float
        Dollars an hour on Spot, by region, type and zone.
    fargate : mapping of str to mapping of str to tuple of float
        Dollars of a vCPU and of a GiB an hour, by region and then by architecture, with a ``-spot``
        behind it on Spot.
    s3 : mapping of str to tuple of float
        Dollars of a request that writes, of one that reads, and of a GiB for a month, by region.
    """

    date: datetime.date
    source: str
    types: Mapping[str, MachineType] = field(default_factory=dict)
    instances: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    spot: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    fargate: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    s3: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)

    def said(self) -> str:
        """Say where its prices are from, and of when."""
        return f"{self.source}, {self.date}"


@dataclass(frozen=True, slots=True)
class PriceList:
    """All that is known of prices here.

    Parameters
    ----------
    sheets : tuple of PriceSheet
        The newest first.
    notes : tuple of str
        What is to be said of them: a file that is damaged, prices that are old.
    """

    sheets: tuple[PriceSheet, ...]
    notes: tuple[str, ...] = ()

    @property
    def date(self) -> datetime.date:
        """The day of the newest sheet."""
        return max(sheet.date for sheet in self.sheets)

    @property
    def regions(self) -> list[str]:
        """Name the regions of which the price of some machine is known."""
        return sorted({region for sheet in self.sheets for region in sheet.instances})

    @property
    def types(self) -> dict[str, MachineType]:
        """The types of machines that are known, by name."""
        return {name: one for sheet in reversed(self.sheets) for name, one in sheet.types.items()}

    def type(self, name: str) -> MachineType | None:
        """Give the vCPUs, memory and architecture of a type of machines."""
        found = (sheet.types[name] for sheet in self.sheets if name in sheet.types)
        return next(found, None)

    def instance(
        self, type: str, region: str, lifecycle: str = ON_DEMAND, zone: str = ""
    ) -> Money | None:
        """Give the price of an hour of a machine; None if it isn't known.

        Parameters
        ----------
        type, region : str
            Such as ``m7g.xlarge`` and ``eu-central-1``.
        lifecycle : str
            ``on-demand``, ``spot``, or an empty one if that isn't known: then it is one or other.
        zone : str
            A Spot price is that of the zone; without one, a range over the zones that are known.
        """
        full = self._on_demand(type, region)
        if lifecycle == ON_DEMAND:
            return full
        spot = self._spot(type, region, zone)
        if lifecycle == SPOT:
            return spot or (full and (NOTHING | full))
        return full and ((spot or NOTHING) | full)

    def fargate(
        self, region: str, architecture: str = "amd64", lifecycle: str = FARGATE
    ) -> FargateRates | None:
        """Give what Fargate costs in a region; None if it isn't known.

        Parameters
        ----------
        region, architecture : str
            Such as ``eu-central-1``, and ``amd64`` (``x86_64``) or ``arm64``.
        lifecycle : str
            ``fargate`` or ``fargate-spot``.
        """
        architecture = ARCHITECTURES.get(architecture, architecture)
        full = self._rates(region, architecture)
        if lifecycle == FARGATE or full is None:
            return full
        spot = self._rates(region, f"{architecture}-spot")
        return spot or FargateRates(NOTHING | full.vcpu, NOTHING | full.gib)

    def s3(self, region: str) -> StoreRates | None:
        """Give what S3 costs in a region; None if it isn't known."""
        found = (sheet.s3[region] for sheet in self.sheets if region in sheet.s3)
        return next((StoreRates(*map(Money, rates)) for rates in found), None)

    def is_spot_known(self, type: str, region: str) -> bool:
        """Tell whether the Spot price of a type is known, rather than only its upper bound."""
        return self._spot(type, region, "") is not None

    def dated(self, region: str = "") -> datetime.date:
        """Give the day of the newest prices of a region, or of any."""
        dates = [sheet.date for sheet in self.sheets if region in sheet.instances]
        return max(dates, default=self.date)

    def is_old(self, today: datetime.date, region: str = "") -> bool:
        """Tell whether even the newest prices of a region, or of any, are older than a year.

        Those of a region that no sheet has are not known: not old.
        """
        if region and not any(region in sheet.instances for sheet in self.sheets):
            return False
        return today - self.dated(region) > OLD

    def said(self, region: str = "") -> str:
        """Say where prices are from and of when: those of a region, or all."""
        named = [sheet for sheet in self.sheets if not region or region in sheet.instances]
        return "; ".join(sheet.said() for sheet in named[: 1 if region else None])

    def fitting(
        self,
        region: str,
        vcpus: float,
        memory: float,
        families: Iterable[str] = (),
        gpus: int = 0,
    ) -> Iterator[MachineType]:
        """Give the smallest type of each family that a job fits on and whose price is known.

        Parameters
        ----------
        region : str
            Where.
        vcpus, memory : float
            The size of a job: vCPUs, and memory in MiB.
        families : iterable of str
            Those that count; none: all.
        gpus : int
            GPUs of the job.
        """
        wanted = {*families}
        smallest: dict[str, MachineType] = {}
        for one in sorted(self.types.values(), key=lambda one: (one.vcpus, one.memory, one.name)):
            if (wanted and one.family not in wanted) or not one.fits(vcpus, memory, gpus):
                continue
            if one.family not in smallest and self._on_demand(one.name, region) is not None:
                smallest[one.family] = one
        yield from smallest.values()

    def _on_demand(self, type: str, region: str) -> Money | None:
        found = (sheet.instances.get(region, {}).get(type) for sheet in self.sheets)
        return next((Money(price) for price in found if price), None)

    def _spot(self, type: str, region: str, zone: str) -> Money | None:
        for sheet in self.sheets:
            zones = sheet.spot.get(region, {}).get(type, {})
            if zone in zones:
                return Money(zones[zone])
            if zones:
                return Money(min(zones.values()), max(zones.values()))
        return None

    def _rates(self, region: str, kind: str) -> FargateRates | None:
        found = (sheet.fargate.get(region, {}).get(kind) for sheet in self.sheets)
        return next((FargateRates(Money(r[0]), Money(r[1])) for r in found if r), None)
