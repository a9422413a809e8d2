"""What AWS says of regions at this moment: the Spot prices there, and whether Spot is to be had."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from dask_knot.aws.prices import spot_history
from dask_knot.aws.session import AwsSession, translated
from dask_knot.errors import KnotError
from dask_knot.prices.pricelist import PriceSheet

#: Prices of so many days are looked at: AWS keeps those of 90.
DAYS = 7
#: AWS takes so many regions in one question about placement, and wants so many types.
REGIONS_AT_ONCE, LEAST_TYPES = 10, 3
#: Regions that are asked at once; an answer takes about a second.
AT_ONCE = 8


@dataclass(slots=True)
class RegionNews:
    """What AWS has said, and what it has not.

    Attributes
    ----------
    sheet : PriceSheet
        Today's Spot prices.
    history : dict
        Spot prices of the last days by region and type.
    scores : dict of str to int
        Placement scores by region, from 1 to 10.
    refused : list of str
        What could not be asked, and why.
    """

    sheet: PriceSheet
    history: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    scores: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


def ask_regions(
    session: AwsSession,
    regions: Sequence[str],
    types: Sequence[str],
    vcpus: int,
    now: datetime.datetime,
) -> RegionNews:
    """Ask AWS about Spot in regions: what it may not be asked is noted.

    Parameters
    ----------
    session : AwsSession
        Credentials.
    regions : sequence of str
        The regions.
    types : sequence of str
        The types of machines that count.
    vcpus : int
        How many vCPUs are wanted at once.
    now : datetime
        The time, in UTC.
    """
    spot: dict[str, dict[str, dict[str, float]]] = {}
    news = RegionNews(PriceSheet(now.date(), "AWS's Spot prices", spot=spot))
    start = now - datetime.timedelta(days=DAYS)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asked = {
            region: pool.submit(_spot, session, region, start, tuple(types)) for region in regions
        }
        for region, answer in asked.items():
            try:
                spot[region], news.history[region] = answer.result()
            except KnotError as error:
                news.refused.append(f"Spot prices of {region}: {error}")
    try:
        news.scores = _scores(session, regions, types, vcpus)
    except KnotError as error:
        news.refused.append(f"placement scores: {error}")
    if not news.scores and len(types) < LEAST_TYPES:
        news.refused.append(
            f"placement scores: AWS gives them for at least {LEAST_TYPES} machine types, and "
            f"this work fits {len(types)}"
        )
    return news


def _spot(
    session: AwsSession, region: str, start: datetime.datetime, types: tuple[str, ...]
) -> tuple[dict[str, dict[str, float]], dict[str, list[float]]]:
    """Give the newest Spot price by type and zone, and all since some time by type."""
    newest: dict[tuple[str, str], tuple[datetime.datetime, float]] = {}
    all_of: dict[str, list[float]] = defaultdict(list)
    with translated():
        ec2 = session.client_in(region, "ec2")
        for type, zone, when, price in spot_history(ec2, start, types):
            newest[type, zone] = max(newest.get((type, zone), (when, price)), (when, price))
            all_of[type].append(price)
    now: dict[str, dict[str, float]] = defaultdict(dict)
    for (type, zone), (_, price) in newest.items():
        now[type][zone] = price
    return dict(now), dict(all_of)


def _scores(
    session: AwsSession, regions: Sequence[str], types: Sequence[str], vcpus: int
) -> dict[str, int]:
    if len(types) < LEAST_TYPES:
        return {}
    found: dict[str, int] = {}
    for some in _parts(regions):
        with translated():
            pages = (
                session.client("ec2")
                .get_paginator("get_spot_placement_scores")
                .paginate(
                    InstanceTypes=list(types),
                    TargetCapacity=max(1, vcpus),
                    TargetCapacityUnitType="vcpu",
                    SingleAvailabilityZone=False,
                    RegionNames=some,
                )
            )
            for page in pages:
                scored = page.get("SpotPlacementScores", ())
                found.update((one["Region"], one["Score"]) for one in scored)
    return found


def _parts(regions: Sequence[str]) -> Iterable[list[str]]:
    for first in range(0, len(regions), REGIONS_AT_ONCE):
        yield list(regions[first : first + REGIONS_AT_ONCE])
