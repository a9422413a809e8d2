"""Make the sheet of prices that is packaged: `python tools/price_sheet.py WHEEL`.

WHEEL is that of apache-libcloud (`pip download --no-deps apache-libcloud`), which has on-demand
prices of EC2 in its `pricing.json`; moto (of the test extra) has vCPUs, memory and architecture of
the types. Nothing here asks AWS: `dask knot prices --refresh` does.

The wheel's prices are right or those of *dedicated* machines (6 to 10 % more), or 0.0, "not known".
So none is believed for itself:

- In most families a machine of twice the vCPUs costs twice as much. The price of a vCPU that counts
  is the lowest of a region on which at least two sizes agree; every size follows from it, and
  a family of which no two sizes agree isn't known there.
- In the others (those with GPUs, most of all) a price is believed if it is the lowest that a type
  has anywhere and several regions have it; elsewhere the type isn't known.
"""

from __future__ import annotations

import datetime
import gzip
import json
import sys
import zipfile
from collections import defaultdict
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from dask_knot.prices.pricelist import MachineType, PriceSheet
from dask_knot.prices.sheetfile import packed

TARGET = Path(__file__).parent.parent / "dask_knot" / "prices" / "prices.json.gz"
#: Two prices of a vCPU are the same if they differ by no more: AWS rounds what small machines cost.
SAME = 0.003
#: Families whose larger machines cost just so many times more are found by this share of sizes.
LINEAR = 0.6
#: What dedicated machines cost more, at most.
DEDICATED = 1.13

#: Dollars of a vCPU and of a GiB an hour. x86 of us-east-1 is in several public sources, which name
#: https://aws.amazon.com/fargate/pricing/; of the others Arm costs four fifths, which two sources
#: that don't know of each other agree on.
FARGATE = {
    "us-east-1": {"amd64": (0.04048, 0.004445), "arm64": (0.03238, 0.00356)},
    "ap-southeast-2": {"amd64": (0.04856, 0.00532), "arm64": (0.03885, 0.00426)},
    "sa-east-1": {"amd64": (0.0696, 0.0076), "arm64": (0.0557, 0.00612)},
}
#: Dollars of a request that writes or lists, of one that reads, and of a GiB for a month.
S3 = {"us-east-1": (0.005 / 1000, 0.0004 / 1000, 0.023)}


def types() -> dict[str, MachineType]:
    """Read the types of machines that Batch may use from moto."""
    file = resources.files("moto") / "ec2" / "resources" / "instance_types.json.gz"
    found = {}
    for name, one in json.loads(gzip.decompress(file.read_bytes())).items():
        kinds = one["ProcessorInfo"]["SupportedArchitectures"]
        kind = {"x86_64": "amd64", "arm64": "arm64"}.get(kinds[-1])
        if kind is None or one["BareMetal"] or name.startswith("mac"):
            continue
        gpus = sum(gpu["Count"] for gpu in one.get("GpuInfo", {}).get("Gpus", []))
        vcpus = one["VCpuInfo"]["DefaultVCpus"]
        found[name] = MachineType(name, vcpus, one["MemoryInfo"]["SizeInMiB"], kind, gpus)
    return found


def unit(prices: Mapping[MachineType, float]) -> float | None:
    """Give the price of a vCPU on which the sizes of a family agree in a region, if they do."""
    units = sorted(price / one.vcpus for one, price in prices.items() if price)
    for number, lowest in enumerate(units):
        agreeing = [each for each in units[number:] if each <= lowest * (1 + SAME)]
        if len(agreeing) > 2 or (len(agreeing) == 2 and units[-1] > lowest * 1.04):
            believed = [one for one in prices if prices[one] / one.vcpus in agreeing]
            largest = max(believed, key=lambda one: one.vcpus)  # it is rounded least
            return prices[largest] / largest.vcpus
    return None


def is_linear(family: list[MachineType], prices: Mapping[str, Mapping[str, float]]) -> bool:
    """Tell whether machines of a family cost by their vCPUs, as far as most prices show."""
    if len({one.memory / one.vcpus for one in family}) > 1 or any(one.gpus for one in family):
        return False
    fitting = total = 0
    for region in {region for one in family for region in prices[one.name]}:
        known = {one: prices[one.name].get(region, 0.0) for one in family}
        found = unit(known)
        for one, price in known.items():
            if price and found:
                total += 1
                fitting += found / 1.01 < price / one.vcpus <= found * DEDICATED
    return total > 0 and fitting / total > LINEAR


def instances(
    types: Mapping[str, MachineType], prices: Mapping[str, Mapping[str, float]]
) -> dict[str, dict[str, float]]:
    """Give what can be believed of the prices, by region and type."""
    families: dict[str, list[MachineType]] = defaultdict(list)
    for name, one in types.items():
        if name in prices:
            families[one.family].append(one)
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for family in families.values():
        if is_linear(family, prices):
            for region in {region for one in family for region in prices[one.name]}:
                vcpu = unit({one: prices[one.name].get(region, 0.0) for one in family})
                for one in family if vcpu else ():
                    if region in prices[one.name]:
                        found[region][one.name] = float(f"{vcpu * one.vcpus:.5g}")
            continue
        for one in family:
            known = [price for price in prices[one.name].values() if price]
            lowest = min(known, default=0.0)
            for region, price in prices[one.name].items():
                if price == lowest and known.count(lowest) > 1:
                    found[region][one.name] = price
    return {region: found[region] for region in sorted(found) if region.count("-") < 4}


def main(wheel: Path) -> None:
    """Write the packaged sheet from the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        data = json.loads(archive.read("libcloud/data/pricing.json"))
    machines = types()
    prices = instances(machines, data["compute"]["ec2_linux"])
    used = {name for known in prices.values() for name in known}
    sheet = PriceSheet(
        datetime.datetime.fromtimestamp(data["updated"], datetime.timezone.utc).date(),
        f"AWS list prices of {' '.join(wheel.name.split('-')[:2])}",
        {name: one for name, one in machines.items() if name in used},
        prices,
        {},
        FARGATE,
        S3,
    )
    TARGET.write_bytes(packed(sheet))
    count = sum(map(len, prices.values()))
    size = f"{TARGET.stat().st_size:,} bytes"
    print(f"{size}: {count} prices of {len(used)} types in {len(prices)} regions")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
