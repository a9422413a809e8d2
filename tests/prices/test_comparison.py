"""Regions side by side."""

from __future__ import annotations

import datetime

import pytest

from dask_knot.planning import Resources
from dask_knot.prices.comparison import HEADS, WantedWork, places, types_of
from dask_knot.prices.money import Money
from dask_knot.prices.pricelist import PriceList, PriceSheet
from tests.prices.sheets import PRICES

WORK = WantedWork(Resources(1, 2**30), hours=10, types=("m5", "c5"))
TODAY = PriceSheet(
    datetime.date(2026, 7, 1),
    "Spot",
    spot={"here": {"m5.large": {"a": 0.02, "b": 0.04}}, "there": {"m5.large": {"a": 0.01}}},
)


def test_the_cheapest_comes_first_and_what_is_not_known_last() -> None:
    found = places(PRICES, WORK, ["nowhere", "there", "here"])
    assert [one.region for one in found] == ["here", "there", "nowhere"]
    here, there, nowhere = found
    assert here.on_demand == Money(0.4, 0.5)
    assert there.on_demand == Money(0.6)
    assert here.fargate is not None
    assert here.fargate.low == pytest.approx(10 * (0.04 + 2 * 0.004))
    assert nowhere.on_demand is nowhere.fargate is there.fargate is None
    assert nowhere.row() == ["nowhere", "not known", "not asked", "", "not asked", "not known"]


def test_spot_counts_where_it_was_asked_for() -> None:
    history = {"here": {"m5.large": [0.02, 0.04, 0.06]}}
    prices = PriceList((TODAY, *PRICES.sheets))
    there, here = places(prices, WORK, ["here", "there"], history, {"there": 9})
    assert (there.region, there.score, there.week) == ("there", 9, None)
    assert there.spot == Money(0.05)
    assert here.spot == Money(0.1, 0.2)
    assert here.week == Money(0.1, 0.3)
    assert there.row()[2:5] == ["0.050 USD", "", "9 of 10"]
    assert len(HEADS) == len(here.row())


def test_the_types_that_count_are_named() -> None:
    assert types_of(PRICES, WORK, ["here", "there"]) == ["c5.large", "m5.large"]
    assert types_of(PRICES, WORK, ["nowhere"]) == []
