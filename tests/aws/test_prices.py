"""Prices that are asked of AWS: read as they are said, and what may not be asked is said."""

from __future__ import annotations

import datetime
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from dask_knot.aws.prices import ask_prices, machine_type, unit_prices
from dask_knot.aws.regions import ask_regions
from dask_knot.errors import AccessError, PriceError
from dask_knot.prices.pricelist import MachineType
from tests.aws.account import sign_in
from tests.aws.pricelists import pricing

NOW = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.timezone.utc)
REGION = "eu-central-1"


@pytest.fixture(autouse=True)
def _signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch)


class Clients:
    """A session that hands out clients with answers, and notes in which region they are."""

    def __init__(self, region: str = REGION, **clients: Any) -> None:
        self.region = region
        self.made: list[tuple[str, str]] = []
        self._clients = clients

    def client(self, service: str) -> Any:
        return self.client_in(self.region, service)

    def client_in(self, region: str, service: str) -> Any:
        self.made.append((region, service))
        return self._clients.get(f"{service}_{region.replace('-', '_')}") or self._clients[service]


def spot(type: str, zone: str, hours: float, price: str) -> dict[str, Any]:
    when = NOW - datetime.timedelta(hours=hours)
    return {"InstanceType": type, "AvailabilityZone": zone, "Timestamp": when, "SpotPrice": price}


HISTORY = [
    spot("m5.large", "eu-central-1a", 1, "0.04"),
    spot("m5.large", "eu-central-1a", 30, "0.06"),
    spot("m5.large", "eu-central-1b", 2, "0.05"),
    spot("c5.large", "eu-central-1a", 1, "0"),
]


def ec2(
    *pages: list[dict[str, Any]], scores: dict[str, int] | None = None, refused: bool = False
) -> Any:
    """Make a client that has Spot prices in pages, then placement scores."""
    client = boto3.client("ec2", region_name=REGION)
    stub = Stubber(client)
    for number, page in enumerate(pages):
        asked = {"ProductDescriptions": ANY, "StartTime": ANY}
        asked |= {"InstanceTypes": ANY} if scores is not None else {}
        asked |= {"NextToken": "more"} if number else {}
        more = {"NextToken": "more"} if number < len(pages) - 1 else {}
        stub.add_response("describe_spot_price_history", {"SpotPriceHistory": page, **more}, asked)
    if refused:
        stub.add_client_error("describe_spot_price_history", "UnauthorizedOperation", "no")
    if scores is not None:
        found = [{"Region": region, "Score": score} for region, score in scores.items()]
        names = ["InstanceTypes", "TargetCapacity", "TargetCapacityUnitType", "RegionNames"]
        asked = {**dict.fromkeys(names, ANY), "SingleAvailabilityZone": False}
        stub.add_response("get_spot_placement_scores", {"SpotPlacementScores": found}, asked)
    stub.activate()
    return client


def ask(session: Clients, said: list[str] | None = None) -> Any:
    return ask_prices(session, REGION, NOW, (said if said is not None else []).append)  # type: ignore[arg-type]


def test_prices_of_a_region_are_read() -> None:
    session, said = Clients(pricing=pricing(), ec2=ec2(HISTORY[:2], HISTORY[2:])), []
    sheet = ask(session, said)
    assert said == []
    assert sheet.date == NOW.date()
    assert sheet.instances == {REGION: {"m5.large": 0.115, "m9g.large": 0.09, "huge.metal": 100.0}}
    assert sheet.types["m9g.large"] == MachineType("m9g.large", 2, 8192, "arm64")
    assert sheet.types["huge.metal"] == MachineType("huge.metal", 448, 24576 * 1024, "amd64", 8)
    # Of Arm only a half is known, and of Windows and disks nobody asked.
    assert sheet.fargate == {REGION: {"amd64": (0.0466, 0.0051)}}
    assert sheet.s3 == {REGION: (0.0000054, 0.00000043, 0.0245)}
    # The newest of each zone; nothing is free.
    assert sheet.spot == {REGION: {"m5.large": {"eu-central-1a": 0.04, "eu-central-1b": 0.05}}}


@pytest.mark.parametrize(
    ("region", "nearest"),
    [
        ("eu-west-1", "eu-central-1"),
        ("af-south-1", "eu-central-1"),
        ("ap-northeast-1", "ap-south-1"),
        ("us-west-2", "us-east-1"),
        ("sa-east-1", "us-east-1"),
    ],
)
def test_the_price_list_is_asked_where_it_answers(region: str, nearest: str) -> None:
    session = Clients(pricing=pricing(), ec2=ec2(HISTORY))
    ask_prices(session, region, NOW, lambda line: None)  # type: ignore[arg-type]
    assert session.made == [(nearest, "pricing"), (region, "ec2")]


def test_what_may_not_be_asked_is_said_and_the_rest_is_there() -> None:
    said: list[str] = []
    sheet = ask(Clients(pricing=pricing(refused=True), ec2=ec2(HISTORY)), said)
    assert sheet.spot[REGION]
    assert sheet.instances == {}
    assert len(said) == 1
    assert "pricing:GetProducts" in said[0]


def test_who_may_ask_nothing_is_told_so() -> None:
    with pytest.raises(AccessError, match="pricing:GetProducts"):
        ask(Clients(pricing=pricing(refused=True), ec2=ec2(refused=True)))


def test_a_region_that_aws_does_not_know_has_no_prices() -> None:
    with pytest.raises(PriceError, match="no prices of 'eu-central-1'"):
        ask(Clients(pricing=pricing(nothing=True), ec2=ec2([])))


def test_two_prices_for_one_unit_are_none() -> None:
    two = {"d1": {"unit": "Hrs", "pricePerUnit": {"USD": "1"}}}
    other = {"d2": {"unit": "Hrs", "pricePerUnit": {"USD": "2"}}}
    terms = {"a": {"priceDimensions": two}, "b": {"priceDimensions": other}}
    assert unit_prices({"terms": {"OnDemand": terms}}) == {}
    assert unit_prices({}) == {}
    assert unit_prices({"terms": {"OnDemand": {"a": {"priceDimensions": two}}}}) == {"Hrs": 1.0}
    assert machine_type({}) is None


def regions(session: Clients, *types: str) -> Any:
    return ask_regions(session, [REGION, "eu-west-1"], types, 100, NOW)  # type: ignore[arg-type]


def test_regions_are_asked_about_spot() -> None:
    here = ec2(HISTORY, scores={REGION: 7, "eu-west-1": 3})
    there = boto3.client("ec2", region_name="eu-west-1")
    stub = Stubber(there)
    stub.add_response("describe_spot_price_history", {"SpotPriceHistory": []})
    stub.activate()
    news = regions(Clients(ec2_eu_central_1=here, ec2_eu_west_1=there), "a", "b", "c")
    assert news.refused == []
    assert news.scores == {REGION: 7, "eu-west-1": 3}
    assert news.sheet.spot == {
        REGION: {"m5.large": {"eu-central-1a": 0.04, "eu-central-1b": 0.05}},
        "eu-west-1": {},
    }
    assert news.history[REGION]["m5.large"] == [0.04, 0.06, 0.05]


def test_few_types_have_no_scores() -> None:
    client = boto3.client("ec2", region_name=REGION)
    stub = Stubber(client)
    for _ in range(2):
        stub.add_response("describe_spot_price_history", {"SpotPriceHistory": HISTORY})
    stub.activate()
    (why,) = regions(Clients(ec2=client), "m5.large", "c5.large").refused
    assert "at least 3 machine types, and this work fits 2" in why


def test_what_regions_may_not_be_asked_is_said() -> None:
    client = boto3.client("ec2", region_name=REGION)
    stub = Stubber(client)
    for call in ("describe_spot_price_history",) * 2 + ("get_spot_placement_scores",):
        stub.add_client_error(call, "UnauthorizedOperation", "no")
    stub.activate()
    news = ask_regions(Clients(ec2=client), [REGION, "eu-west-1"], ["a", "b", "c"], 1, NOW)  # type: ignore[arg-type]
    assert len(news.refused) == 3
    assert "ec2:DescribeSpotPriceHistory" in news.refused[0]
    assert "ec2:GetSpotPlacementScores" in news.refused[2]
