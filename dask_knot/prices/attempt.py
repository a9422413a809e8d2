"""An attempt of a job, and what an hour of it costs: pure.

A job on a machine pays for its share of it: of its vCPUs, of its memory or of its GPUs, whichever
is the largest. A job on Fargate pays for the size that it fills.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from dask_knot.planning.fargate import nearest
from dask_knot.prices.money import NOTHING, Money
from dask_knot.prices.pricelist import PriceList
from dask_knot.run.machine import FARGATE, FARGATE_SPOT, LOCAL, ON_DEMAND, SPOT, Machine

HOUR = 3600.0
#: Fargate's shortest bill, in seconds.
FARGATE_LEAST = 60.0
#: Why no price is known of what ran there.
NO_MACHINE = "on machines whose type isn't known"


@dataclass(frozen=True, slots=True)
class PaidAttempt:
    """An attempt of a job, or of a child, that has run or runs.

    Attributes
    ----------
    stage : str
        What it ran for.
    machine : Machine
        Where it ran; its parts are empty where that isn't known.
    vcpus, memory, gpus : float, int, int
        What the job was given; memory in MiB.
    started, stopped : float
        When its container did, in seconds since the epoch; it runs until now if it hasn't stopped.
    busy : float
        Seconds in which at least one task ran.
    work : mapping of str to float
        Seconds of its tasks, by key prefix.
    """

    stage: str
    machine: Machine
    vcpus: float
    memory: int
    started: float
    stopped: float
    gpus: int = 0
    busy: float = 0.0
    work: Mapping[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """The seconds that are paid: Fargate rounds up, to a minute at least."""
        lasted = max(0.0, self.stopped - self.started)
        if self.machine.type != FARGATE:
            return lasted
        return max(FARGATE_LEAST, float(math.ceil(lasted)))

    @property
    def vcpu_hours(self) -> float:
        """Its vCPUs times its hours."""
        return self.vcpus * self.seconds / HOUR


def hourly(one: PaidAttempt, prices: PriceList | None, region: str) -> Money | None:
    """Give what an attempt costs an hour; None if that isn't known."""
    machine = one.machine
    if machine.lifecycle == LOCAL:
        return NOTHING
    if prices is None or not machine.type or not region:
        return None
    if machine.type == FARGATE:
        return _fargate(one, prices, region)
    if machine.lifecycle not in ("", ON_DEMAND, SPOT):  # such as capacity that was reserved
        return None
    kind = prices.type(machine.type)
    price = prices.instance(machine.type, region, machine.lifecycle, machine.zone)
    if kind is None or price is None:
        return None
    share = kind.share(one.vcpus, one.memory)
    if one.gpus and kind.gpus:
        share = max(share, one.gpus / kind.gpus)
    return price * min(share, 1.0)


def _fargate(one: PaidAttempt, prices: PriceList, region: str) -> Money | None:
    machine = one.machine
    possible = [machine.lifecycle] if machine.lifecycle else [FARGATE_SPOT, FARGATE]
    found: Money | None = None
    for lifecycle in possible:
        rates = prices.fargate(region, machine.architecture or "x86_64", lifecycle)
        if rates is None:
            return None
        hour = rates.hour(*(nearest(one.vcpus, one.memory) or (one.vcpus, one.memory)))
        found = hour if found is None else found | hour
    return found


def why_unknown(machine: Machine, region: str) -> str:
    """Say why no price is known of a machine."""
    if not machine.type:
        return NO_MACHINE
    place = machine.zone or region or "an unknown region"
    kind = f" ({machine.lifecycle})" if machine.lifecycle else ""
    return f"on {machine.type}{kind} in {place}: its price isn't known here"


def remarks(one: PaidAttempt, prices: PriceList | None, region: str) -> list[str]:
    """Say what a price is not."""
    machine = one.machine
    if machine.lifecycle == LOCAL:
        return ["0 USD: this machine"]
    if machine.type == FARGATE:
        return ["Fargate: image downloads and disks larger than 20 GiB aren't included"]
    if machine.type and not machine.lifecycle:
        return [f"{machine.type}: whether it was Spot isn't known"]
    region = machine.region or region
    if machine.lifecycle == SPOT and prices and not prices.is_spot_known(machine.type, region):
        return [
            f"{machine.type} in {region}: its Spot price isn't known; it is at most the "
            "on-demand price"
        ]
    return []
