"""AWS's price list as it answers: products as texts, shapes checked by botocore's stubs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.stub import ANY, Stubber


def product(attributes: Mapping[str, str], *prices: tuple[str, float, str]) -> str:
    """Write a product: unit, dollars and where the tier begins of each of its prices."""
    dimensions = {
        f"d{n}": {"unit": unit, "beginRange": begin, "pricePerUnit": {"USD": f"{dollars:.10f}"}}
        for n, (unit, dollars, begin) in enumerate(prices)
    }
    terms = {"OnDemand": {"t": {"priceDimensions": dimensions}}}
    return json.dumps({"product": {"attributes": dict(attributes)}, "terms": terms})


def machine(name: str, dollars: float, processor: str = "Intel Xeon", **other: str) -> str:
    attributes = {
        "instanceType": name,
        "vcpu": "2",
        "memory": "8 GiB",
        "physicalProcessor": processor,
        **other,
    }
    return product(attributes, ("Hrs", dollars, "0"))


def usage(type: str, unit: str, *tiers: tuple[float, str]) -> str:
    return product({"usagetype": type}, *((unit, dollars, begin) for dollars, begin in tiers))


MACHINES = [
    machine("m5.large", 0.115),
    machine("m9g.large", 0.09, "AWS Graviton5 Processor"),
    machine("huge.metal", 100.0, memory="24,576 GiB", vcpu="448", gpu="8"),
    machine("free.large", 0.0),
    machine("odd.large", 0.1, memory="NA"),
    # Two prices for one unit: nobody can tell which holds.
    product(
        {"instanceType": "two.large", "vcpu": "2", "memory": "8 GiB"},
        ("Hrs", 1, "0"),
        ("Hrs", 2, "0"),
    ),
]
CONTAINERS = [
    usage("EUC1-Fargate-vCPU-Hours:perCPU", "hours", (0.0466, "0")),
    usage("EUC1-Fargate-GB-Hours", "hours", (0.0051, "0")),
    usage("EUC1-Fargate-ARM-vCPU-Hours:perCPU", "hours", (0.0373, "0")),
    usage("EUC1-Fargate-Windows-vCPU-Hours:perCPU", "hours", (0.2, "0")),
    usage("EUC1-Fargate-EphemeralStorage-GB-Hours", "hours", (0.0001, "0")),
]
WRITES = [usage("EUC1-Requests-Tier1", "Requests", (0.0000054, "0"))]
READS = [usage("EUC1-Requests-Tier2", "Requests", (0.00000043, "0"))]
STORAGE = [
    usage("EUC1-TimedStorage-ByteHrs", "GB-Mo", (0.0245, "0"), (0.0235, "51200")),
    usage("EUC1-TimedStorage-SIA-ByteHrs", "GB-Mo", (0.0135, "0")),
]


def pricing(refused: bool = False, nothing: bool = False) -> Any:
    """Make a client of the price list that answers as AWS does, in two pages of machines."""
    client = boto3.client("pricing", region_name="eu-central-1")
    stub = Stubber(client)
    asked: dict[str, Any] = {"ServiceCode": ANY, "Filters": ANY, "FormatVersion": "aws_v1"}
    if refused:
        for _ in range(3):
            stub.add_client_error("get_products", "AccessDeniedException", "not allowed")
    else:
        token = {"NextToken": "more"}
        if not nothing:
            stub.add_response("get_products", {"PriceList": MACHINES[:2], **token}, asked)
            asked = {**asked, **token}
        for page in (MACHINES[2:], CONTAINERS, WRITES, READS, STORAGE):
            stub.add_response("get_products", {"PriceList": [] if nothing else page}, asked)
            asked = {name: value for name, value in asked.items() if name != "NextToken"}
    stub.activate()
    return client
