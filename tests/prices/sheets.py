"""Prices that tests agree on: round numbers, and gaps where there are such in the world."""

from __future__ import annotations

import datetime

from dask_knot.prices.pricelist import MachineType, PriceList, PriceSheet

DAY = datetime.date(2026, 1, 1)


def machine(name: str, vcpus: int, gib: int, kind: str = "amd64", gpus: int = 0) -> MachineType:
    return MachineType(name, vcpus, gib * 1024, kind, gpus)


TYPES = {
    one.name: one
    for one in (
        machine("c5.large", 2, 4),
        machine("c5.xlarge", 4, 8),
        machine("m5.large", 2, 8),
        machine("m5.xlarge", 4, 16),
        machine("m6g.large", 2, 8, "arm64"),
        machine("g4dn.xlarge", 4, 16, gpus=1),
        machine("g4dn.12xlarge", 48, 192, gpus=4),
        machine("new.large", 2, 8),
    )
}
PACKAGED = PriceSheet(
    DAY,
    "a list",
    TYPES,
    {
        "here": {
            "c5.large": 0.08,
            "c5.xlarge": 0.16,
            "m5.large": 0.1,
            "m5.xlarge": 0.2,
            "m6g.large": 0.07,
            "g4dn.xlarge": 0.5,
            "g4dn.12xlarge": 4.0,
        },
        "there": {"m5.large": 0.12},
    },
    {},
    {"here": {"amd64": (0.04, 0.004), "arm64": (0.03, 0.003)}},
    {"here": (0.000005, 0.0000004, 0.023)},
)
REFRESHED = PriceSheet(
    datetime.date(2026, 6, 1),
    "AWS",
    {},
    {"here": {"m5.large": 0.09}},
    {"here": {"m5.large": {"here-a": 0.03, "here-b": 0.04}}},
    {"here": {"amd64-spot": (0.01, 0.001)}},
    {},
)
PRICES = PriceList((PACKAGED,))
BOTH = PriceList((REFRESHED, PACKAGED))
