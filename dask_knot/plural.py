"""Numbers of things, and times, in words: one task, two tasks, 75 s. Pure."""

from __future__ import annotations

#: Units, their seconds, and from which time on they are used: "75 s" says more than "1.3 min".
_UNITS = (("days", 86_400.0, 172_800.0), ("h", 3_600.0, 3_600.0), ("min", 60.0, 120.0))


def many(name: str, *counts: int) -> str:
    """Say how many of something there are: "1 task", "2 tasks", or of several, "2, 1 shards"."""
    numbers = ", ".join(f"{count:,}" for count in counts)
    return f"{numbers} {name}{'' if counts == (1,) else 's'}"


def duration(seconds: float) -> str:
    """Say how long something takes, as people do.

    >>> duration(0.02), duration(75), duration(240), duration(9000)
    ('20 ms', '75 s', '4 min', '2.5 h')
    """
    if seconds < 0.9995:
        return f"{max(1.0, seconds * 1000):.0f} ms"
    used = (unit[:2] for unit in _UNITS if seconds >= unit[2])
    name, length = next(used, ("s", 1.0))
    return f"{round(seconds / length, 0 if seconds >= 10 * length else 1):g} {name}"
