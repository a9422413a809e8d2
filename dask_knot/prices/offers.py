"""What one job of some size costs an hour, on each kind of machine that would run it: pure.

A job of 2.1 GiB costs as one of 4 where it has a machine to itself, and its share where the machine
is full: which of them it is depends on its neighbors, so an offer is a range.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dask_knot.planning.fargate import nearest
from dask_knot.prices.money import Money
from dask_knot.prices.pricelist import (
    FARGATE,
    FARGATE_SPOT,
    ON_DEMAND,
    SPOT,
    MachineType,
    PriceList,
)

#: Families that Batch chooses from, newest generations first: for much computing, for most work,
#: and for much memory; of Intel, AMD and Graviton.
FAMILIES = tuple(
    f"{kind}{generation}"
    for kind in "cmr"
    for generation in ("8g", "7g", "6g", "7i", "7a", "6i", "6a", "5")
)
#: What the ECS agent and the system keep of a machine's memory, in MiB: a job of all of it has no
#: room (AWS Batch, "Compute resource memory management").
KEPT = 512


class Offer(NamedTuple):
    """What an hour of one job costs on a kind of machine.

    Attributes
    ----------
    name : str
        Type of the machine, or ``fargate``.
    vcpus : float
        Of the machine, or of the Fargate job: the step that fits.
    memory : int
        In MiB.
    architecture, lifecycle : str
        ``amd64`` or ``arm64``; how it is paid for.
    hour : Money
        From the job's share of a full machine to the whole machine.
    """

    name: str
    vcpus: float
    memory: int
    architecture: str
    lifecycle: str
    hour: Money


def offers(
    prices: PriceList,
    region: str,
    vcpus: float,
    memory: float,
    lifecycles: Sequence[str] = (ON_DEMAND, SPOT, FARGATE, FARGATE_SPOT),
) -> list[Offer]:
    """Give what a job costs an hour wherever its price is known, in the order of the lifecycles.

    Parameters
    ----------
    prices : PriceList
        What is known.
    region : str
        Where.
    vcpus, memory : float
        The size of the job: vCPUs, and memory in MiB.
    lifecycles : sequence of str
        Those that count.
    """
    found: list[Offer] = []
    for lifecycle in lifecycles:
        if lifecycle in (FARGATE, FARGATE_SPOT):
            found += _fargate(prices, region, (vcpus, memory), lifecycle)
        else:
            found += _machines(prices, region, (vcpus, memory), lifecycle)
    return found


def share_of(one: MachineType, vcpus: float, memory: float, gpus: int = 0) -> float:
    """Give the part of a machine that a job takes, of what the system leaves to jobs: at most 1."""
    room = max(memory, one.memory - KEPT)
    of_gpus = gpus / one.gpus if gpus and one.gpus else 0.0
    return min(1.0, max(vcpus / one.vcpus, memory / room, of_gpus))


def _machines(
    prices: PriceList, region: str, job: tuple[float, float], lifecycle: str
) -> Iterator[Offer]:
    vcpus, memory = job
    for one in prices.fitting(region, vcpus, memory + KEPT, FAMILIES):
        whole = prices.instance(one.name, region, lifecycle)
        if whole is not None:
            hour = whole * share_of(one, vcpus, memory) | whole
            yield Offer(one.name, one.vcpus, one.memory, one.architecture, lifecycle, hour)


def _fargate(
    prices: PriceList, region: str, job: tuple[float, float], lifecycle: str
) -> Iterator[Offer]:
    size = nearest(*job)
    for architecture in ("amd64", "arm64") if size else ():
        rates = prices.fargate(region, architecture, lifecycle)
        if rates is not None and size is not None:
            yield Offer("fargate", *size, architecture, lifecycle, rates.hour(*size))
