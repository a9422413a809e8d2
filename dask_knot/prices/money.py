"""Dollars as a range: what is known of an amount of money, and no more than that. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of US dollars that lies between two bounds.

    Parameters
    ----------
    low : float
        What it is at least.
    high : float, optional
        What it is at most; infinite if nobody knows, and `low` unless told otherwise.

    Examples
    --------
    >>> str(Money(0.1, 0.2) + Money(0.02, 0.1)), str(Money(0.5) * 2), str(Money(0.1, math.inf))
    ('0.12 to 0.30 USD', '1.00 USD', 'at least 0.10 USD')
    """

    low: float
    high: float = -1.0

    def __post_init__(self) -> None:
        if self.high < 0:
            object.__setattr__(self, "high", self.low)
        if not 0 <= self.low <= self.high:  # nan, too
            raise ValueError(f"money from {self.low!r} to {self.high!r}")

    @property
    def is_exact(self) -> bool:
        """Tell whether it is one amount, rather than a range."""
        return math.isclose(self.low, self.high, rel_tol=1e-9, abs_tol=1e-12)

    @property
    def is_unknown(self) -> bool:
        """Tell whether nothing at all is known of it."""
        return self.low == 0 and math.isinf(self.high)

    def exceeds(self, budget: Money) -> bool:
        """Tell whether it is more than a budget for certain."""
        return self.low > budget.high * (1 + 1e-9)

    def fits(self, budget: Money) -> bool:
        """Tell whether it is within a budget for certain."""
        return self.high <= budget.low * (1 + 1e-9)

    def __add__(self, other: Money) -> Money:
        return Money(self.low + other.low, self.high + other.high)

    def __radd__(self, other: int) -> Money:
        """Let `sum` begin at 0."""
        return self if other == 0 else NotImplemented

    def __mul__(self, factor: float) -> Money:
        # Zero times what nobody knows is nothing.
        return Money(self.low * factor, self.high * factor if factor else 0.0)

    __rmul__ = __mul__

    def __or__(self, other: Money) -> Money:
        """Give the range that holds both: it is the one or the other."""
        return Money(min(self.low, other.low), max(self.high, other.high))

    def __str__(self) -> str:
        return self._written(amount)

    def quoted(self) -> str:
        """Write it with the digits of a list of prices: ``0.04048 USD``."""
        return self._written("{:.4g}".format)

    def _written(self, write: Callable[[float], str]) -> str:
        if self.is_unknown:
            return "unknown"
        if math.isinf(self.high):
            return f"at least {write(self.low)} USD"
        low, high = write(self.low), write(self.high)
        if low == high:
            return f"{low} USD"
        return f"at most {high} USD" if self.low == 0 else f"{low} to {high} USD"


def amount(dollars: float) -> str:
    """Write dollars: cents, and of less than ten cents two digits that count.

    >>> amount(0), amount(12.345), amount(0.1), amount(0.0961), amount(0.00004), amount(1234567)
    ('0', '12.35', '0.10', '0.096', '0.000040', '1,234,567.00')
    """
    if dollars <= 0:
        return "0"
    places = 2 if dollars >= 0.0995 else min(9, 1 - math.floor(math.log10(dollars)))
    return f"{dollars:,.{places}f}"


#: Nothing, and what nobody knows.
NOTHING = Money(0.0)
UNKNOWN = Money(0.0, math.inf)
