"""What a list of prices says, and what it doesn't."""

from __future__ import annotations

import datetime

import pytest

from dask_knot.prices.money import Money
from dask_knot.prices.pricelist import FARGATE_SPOT, FargateRates
from tests.prices.sheets import BOTH, DAY, PRICES


@pytest.mark.parametrize(
    ("type", "region", "lifecycle", "zone", "price"),
    [
        ("m5.large", "here", "on-demand", "", Money(0.09)),  # the newest that knows it
        ("c5.large", "here", "on-demand", "", Money(0.08)),
        ("m5.large", "there", "on-demand", "", Money(0.12)),
        # Spot is never priced as on demand.
        ("m5.large", "here", "spot", "", Money(0.03, 0.04)),
        ("m5.large", "here", "spot", "here-b", Money(0.04)),
        ("m5.large", "here", "spot", "here-c", Money(0.03, 0.04)),
        ("c5.large", "here", "spot", "", Money(0, 0.08)),
        # Nobody knows how it was paid for.
        ("m5.large", "here", "", "", Money(0.03, 0.09)),
        ("c5.large", "here", "", "", Money(0, 0.08)),
        # Gaps are gaps.
        ("new.large", "here", "on-demand", "", None),
        ("new.large", "here", "spot", "", None),
        ("new.large", "here", "", "", None),
        ("c5.large", "there", "on-demand", "", None),
        ("m5.large", "nowhere", "spot", "", None),
    ],
)
def test_prices_of_machines(
    type: str, region: str, lifecycle: str, zone: str, price: Money | None
) -> None:
    assert BOTH.instance(type, region, lifecycle, zone) == price


def test_whether_a_price_of_spot_is_known_is_said() -> None:
    assert BOTH.is_spot_known("m5.large", "here")
    assert not BOTH.is_spot_known("c5.large", "here")


def test_prices_of_fargate() -> None:
    full = PRICES.fargate("here")
    assert full == FargateRates(Money(0.04), Money(0.004))
    assert full.hour(2, 3072) == Money(2 * 0.04 + 3 * 0.004)
    assert PRICES.fargate("here", "arm64") == FargateRates(Money(0.03), Money(0.003))
    assert PRICES.fargate("here", "x86_64") == full
    assert PRICES.fargate("there") is None
    assert PRICES.fargate("there", "amd64", FARGATE_SPOT) is None
    # Unknown Spot is at most the full price; a refreshed one is what it is.
    assert PRICES.fargate("here", "amd64", FARGATE_SPOT) == (Money(0, 0.04), Money(0, 0.004))
    assert BOTH.fargate("here", "amd64", FARGATE_SPOT) == (Money(0.01), Money(0.001))


def test_prices_of_s3() -> None:
    known = PRICES.s3("here")
    assert known is not None
    assert known.write == Money(0.000005)
    assert PRICES.s3("there") is None


def test_a_list_says_from_where_it_is_and_how_old() -> None:
    assert BOTH.said("here") == "AWS, 2026-06-01"
    assert BOTH.said("there") == "a list, 2026-01-01"
    assert BOTH.said() == "AWS, 2026-06-01; a list, 2026-01-01"
    assert BOTH.date == datetime.date(2026, 6, 1)
    assert not PRICES.is_old(DAY + datetime.timedelta(days=365))
    assert PRICES.is_old(DAY + datetime.timedelta(days=366))


def test_the_smallest_machine_of_each_family_that_fits() -> None:
    found = {one.name for one in PRICES.fitting("here", 1, 6 * 1024)}
    assert found == {"c5.xlarge", "g4dn.xlarge", "m5.large", "m6g.large"}
    assert [one.name for one in PRICES.fitting("here", 1, 1024, ["c5"])] == ["c5.large"]
    assert [*PRICES.fitting("here", 64, 1024)] == []


def test_what_a_job_takes_of_a_machine() -> None:
    one = PRICES.type("m5.large")
    assert one is not None
    assert (one.family, one.share(1, 1024), one.share(1, 6144)) == ("m5", 0.5, 0.75)
    assert not one.fits(1, 1024, gpus=1)
    assert BOTH.type("m9.large") is None
