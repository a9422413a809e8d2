"""Dollars as a range."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.prices.money import NOTHING, UNKNOWN, Money, amount

DOLLARS = st.floats(0, 1e6)


@st.composite
def moneys(draw: st.DrawFn) -> Money:
    low, high = sorted([draw(DOLLARS), draw(DOLLARS | st.just(math.inf))])
    return Money(low, high)


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Money(5), "5.00 USD"),
        (Money(0.12, 0.3), "0.12 to 0.30 USD"),
        (Money(0, 0.3), "at most 0.30 USD"),
        (Money(0.12, math.inf), "at least 0.12 USD"),
        (Money(0.00123, 0.00125), "0.0012 to 0.0013 USD"),
        (Money(0.121, 0.1213), "0.12 USD"),
        (NOTHING, "0 USD"),
        (UNKNOWN, "unknown"),
    ],
)
def test_it_is_written_as_far_as_it_is_known(money: Money, text: str) -> None:
    assert str(money) == text


def test_a_price_is_quoted_with_its_digits() -> None:
    assert Money(0.04048).quoted() == "0.04048 USD"
    assert Money(0, 12.3456).quoted() == "at most 12.35 USD"


@pytest.mark.parametrize("bounds", [(-1.0, 2.0), (3.0, 2.0), (math.nan, 1.0), (1.0, math.nan)])
def test_it_has_two_bounds_in_order(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="money from"):
        Money(*bounds)


@given(moneys(), moneys(), st.floats(0, 1000))
def test_sums_and_multiples_keep_their_bounds_in_order(
    one: Money, other: Money, factor: float
) -> None:
    both = one + other
    assert (both.low, both.high) == (one.low + other.low, one.high + other.high)
    assert sum([one, other]) == both
    assert (one * factor).low <= (factor * one).high
    assert one * 0 == NOTHING


@given(moneys(), moneys())
def test_one_or_other_holds_both(one: Money, other: Money) -> None:
    either = one | other
    assert either.low <= min(one.low, other.low)
    assert either.high >= max(one.high, other.high)


@given(moneys(), DOLLARS)
def test_what_exceeds_a_budget_does_not_fit_it(money: Money, limit: float) -> None:
    budget = Money(limit)
    assert not (money.exceeds(budget) and money.fits(budget))
    assert UNKNOWN.fits(budget) is UNKNOWN.exceeds(budget) is False


@given(st.floats(1e-8, 1e6))
def test_an_amount_has_two_digits_that_count(dollars: float) -> None:
    assert float(amount(dollars).replace(",", "")) == pytest.approx(dollars, rel=0.06)
