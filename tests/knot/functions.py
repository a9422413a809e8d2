"""What the knots of the tests call."""

from __future__ import annotations

import os
from typing import Any


def double(value: Any) -> Any:
    """Double a value; there is none for what begins with bad."""
    if str(value).startswith("bad"):
        raise ValueError(f"nobody doubles {value}")
    return value * 2


def add(first: int, second: int = 0) -> int:
    """Add two numbers."""
    return first + second


def variable(name: str) -> str | None:
    """Read a variable of the environment."""
    return os.environ.get(name)
