"""Work that isn't the same whenever it is done: random numbers without a seed, the clock."""

from __future__ import annotations

import time
from typing import Any

_CLOCKS = (time.time, time.time_ns)


def reason(value: Any, is_called_without_arguments: bool) -> str | None:
    """Say why code that uses something isn't the same whenever it runs; None if it is."""
    return "it asks for the time" if any(value is clock for clock in _CLOCKS) else None
