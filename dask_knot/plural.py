"""Numbers of things in words: one task, two tasks. Pure."""

from __future__ import annotations


def many(name: str, *counts: int) -> str:
    """Say how many of something there are: "1 task", "2 tasks", or of several, "2, 1 shards"."""
    numbers = ", ".join(f"{count:,}" for count in counts)
    return f"{numbers} {name}{'' if counts == (1,) else 's'}"
