"""Prices as AWS says them: of machines, Fargate and S3 by its price list, of Spot by its history.

The price list answers in three regions only, for all others. It has everything as text: products
with attributes, and terms with prices "per unit". What isn't as expected is left out, for a price
that was read wrongly is worse than none.
"""

from __future__ import annotations

import datetime
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dask_knot.aws.session import AwsSession, translated
from dask_knot.errors import KnotError, PriceError
from dask_knot.prices.pricelist import MachineType, PriceSheet

#: Where the price list answers, and for which regions each is the nearest.
ENDPOINTS = {"eu": "eu-central-1", "me": "eu-central-1", "af": "eu-central-1", "ap": "ap-south-1"}
LINUX = ["Linux/UNIX", "Linux/UNIX (Amazon VPC)"]
#: On demand, shared, Linux without anything that costs more: one product for each type.
MACHINES = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "licenseModel": "No License required",
}
_FARGATE = re.compile(r"(?:[A-Z0-9]+-)?Fargate(-ARM)?-(vCPU|GB)-Hours(?::perCPU)?")
_S3 = re.compile(r"(?:[A-Z0-9]+-)?(Requests-Tier1|Requests-Tier2|TimedStorage-ByteHrs)")
S3_KINDS = ("Requests-Tier1", "Requests-Tier2", "TimedStorage-ByteHrs")

Say = Callable[[str], object]
Attributes = Mapping[str, Any]


@dataclass(slots=True)
class PricesFound:
    """What AWS has said of a region, and what it was not allowed to say."""

    types: dict[str, MachineType] = field(default_factory=dict)
    instances: dict[str, float] = field(default_factory=dict)
    spot: dict[str, dict[str, float]] = field(default_factory=dict)
    fargate: dict[str, tuple[float, float]] = field(default_factory=dict)
    s3: tuple[float, float, float] | None = None
    refused: list[KnotError] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there is no price at all."""
        return not (self.instances or self.spot or self.fargate or self.s3)


def ask_prices(session: AwsSession, region: str, now: datetime.datetime, say: Say) -> PriceSheet:
    """Ask AWS what things cost in a region.

    Parameters
    ----------
    session : AwsSession
        Credentials.
    region : str
        The region.
    now : datetime
        The time, in UTC.
    say : callable
        Told what may not be asked.

    Raises
    ------
    AwsError
        If AWS refuses everything, or can't be reached.
    PriceError
        If it knows no price there.
    """
    found = PricesFound()
    nearest = ENDPOINTS.get(region.partition("-")[0], "us-east-1")
    pricing = session.client_in(nearest, "pricing")
    ec2 = session.client_in(region, "ec2")
    calls: tuple[Callable[[], None], ...] = (
        lambda: _machines(found, pricing, region),
        lambda: _fargate(found, pricing, region),
        lambda: _s3(found, pricing, region),
        lambda: found.spot.update(spot_now(ec2, now)),
    )
    for call in calls:
        try:
            with translated():
                call()
        except KnotError as error:
            found.refused.append(error)
    for text in dict.fromkeys(str(error) for error in found.refused):
        say(text)
    if found.is_empty and found.refused:
        raise found.refused[0]
    if found.is_empty:
        raise PriceError(f"AWS knows no prices of {region!r}: is that a region?")
    return PriceSheet(
        now.date(),
        "AWS's price list and Spot prices",
        found.types,
        {region: found.instances} if found.instances else {},
        {region: found.spot} if found.spot else {},
        {region: found.fargate} if found.fargate else {},
        {region: found.s3} if found.s3 else {},
    )


def spot_now(
    ec2: Any, start: datetime.datetime, types: tuple[str, ...] = ()
) -> dict[str, dict[str, float]]:
    """Give the newest Spot prices since some time, by type and zone.

    Parameters
    ----------
    ec2 : boto3 client
        Of the region.
    start : datetime
        Since when; now: only those that hold.
    types : tuple of str
        Which types; none: all.
    """
    newest: dict[tuple[str, str], tuple[datetime.datetime, float]] = {}
    for type, zone, when, price in spot_history(ec2, start, types):
        newest[type, zone] = max(newest.get((type, zone), (when, price)), (when, price))
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for (type, zone), (_, price) in newest.items():
        found[type][zone] = price
    return dict(found)


def spot_history(
    ec2: Any, start: datetime.datetime, types: tuple[str, ...] = ()
) -> Iterator[tuple[str, str, datetime.datetime, float]]:
    """Yield Spot prices of Linux since some time: type, zone, when, dollars an hour."""
    asked: dict[str, Any] = {"ProductDescriptions": LINUX, "StartTime": start}
    if types:
        asked["InstanceTypes"] = list(types)
    for page in ec2.get_paginator("describe_spot_price_history").paginate(**asked):
        for one in page["SpotPriceHistory"]:
            price = float(one["SpotPrice"])
            if price > 0:
                yield one["InstanceType"], one["AvailabilityZone"], one["Timestamp"], price


def _machines(found: PricesFound, pricing: Any, region: str) -> None:
    for attributes, price in _products(pricing, "AmazonEC2", region, MACHINES):
        machine = machine_type(attributes)
        if machine is not None and price("Hrs"):
            found.types[machine.name] = machine
            found.instances[machine.name] = price("Hrs")


def _fargate(found: PricesFound, pricing: Any, region: str) -> None:
    rates: dict[str, dict[str, float]] = defaultdict(dict)
    for attributes, price in _products(pricing, "AmazonECS", region, {}):
        match = _FARGATE.fullmatch(str(attributes.get("usagetype", "")))
        dollars = price("hours") or price("Hours") or price("vCPU-Hours") or price("GB-Hours")
        if match and dollars:
            rates["arm64" if match[1] else "amd64"][match[2]] = dollars
    for kind, known in rates.items():
        if {*known} == {"vCPU", "GB"}:
            found.fargate[kind] = known["vCPU"], known["GB"]


def _s3(found: PricesFound, pricing: Any, region: str) -> None:
    known: dict[str, float] = {}
    for filters in ({"group": "S3-API-Tier1"}, {"group": "S3-API-Tier2"}, _STANDARD):
        for attributes, price in _products(pricing, "AmazonS3", region, filters):
            match = _S3.fullmatch(str(attributes.get("usagetype", "")))
            dollars = price("Requests") or price("GB-Mo")
            if match and dollars:
                known[match[1]] = dollars
    if {*known} == {*S3_KINDS}:
        write, read, month = (known[kind] for kind in S3_KINDS)
        found.s3 = write, read, month


_STANDARD = {"volumeType": "Standard", "productFamily": "Storage"}


def _products(
    pricing: Any, service: str, region: str, filters: Mapping[str, str]
) -> Iterator[tuple[Attributes, Callable[[str], float]]]:
    """Yield the attributes of products, and what gives their price for a unit: 0 if none does."""
    wanted = {"regionCode": region, **filters}
    terms = [{"Type": "TERM_MATCH", "Field": f, "Value": v} for f, v in wanted.items()]
    pages = pricing.get_paginator("get_products").paginate(
        ServiceCode=service, Filters=terms, FormatVersion="aws_v1"
    )
    for page in pages:
        for text in page["PriceList"]:
            product = json.loads(text)
            prices = unit_prices(product)
            yield (
                product.get("product", {}).get("attributes", {}),
                lambda unit, prices=prices: prices.get(unit, 0.0),  # type: ignore[misc]
            )


def unit_prices(product: Mapping[str, Any]) -> dict[str, float]:
    """Give the dollars on demand of a product of the price list by their unit: of the first tier.

    Where several terms have a price for one unit, nobody can tell which holds: it is left out.
    """
    found: dict[str, set[float]] = defaultdict(set)
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        for one in term.get("priceDimensions", {}).values():
            dollars = float(one.get("pricePerUnit", {}).get("USD", 0))
            if dollars > 0 and one.get("beginRange", "0") == "0":
                found[str(one.get("unit"))].add(dollars)
    return {unit: prices.pop() for unit, prices in found.items() if len(prices) == 1}


def machine_type(attributes: Attributes) -> MachineType | None:
    """Read a type of machines from the attributes of a product; None if something is missing."""
    memory = re.fullmatch(r"([\d,.]+) GiB", str(attributes.get("memory", "")))
    vcpus, name = str(attributes.get("vcpu", "")), attributes.get("instanceType")
    if not name or memory is None or not vcpus.isdigit() or not int(vcpus):
        return None
    is_arm = "Graviton" in str(attributes.get("physicalProcessor", ""))
    gpus = str(attributes.get("gpu", "0"))
    return MachineType(
        str(name),
        int(vcpus),
        round(float(memory[1].replace(",", "")) * 1024),
        "arm64" if is_arm else "amd64",
        int(gpus) if gpus.isdigit() else 0,
    )
