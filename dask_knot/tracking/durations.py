"""How long tasks take and how large values are, by key prefix, and where that is known from."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from dask_knot.run.manifest import Work

#: Weight of what was known before a manifest: old numbers fade, as Dask's own averages do.
FADING = 0.5


class KnownFrom(Enum):
    """Where it is known from how long a task takes; the first one that says something counts."""

    SAID = "said by dask.annotate(knot={'seconds': ...})"
    SESSION = "seen in this session"
    PROFILE = "seen in earlier sessions"
    DASK = "Dask's default"


class Durations:
    """Seconds per task, and bytes per value, for each key prefix."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.nbytes: dict[str, float] = {}

    def learn(self, work: Mapping[str, Work]) -> None:
        """Take in what one shard's tasks cost."""
        for prefix, cost in work.items():
            if not cost.tasks:
                continue
            _learn(self.seconds, prefix, cost.seconds / cost.tasks)
            if cost.values:
                _learn(self.nbytes, prefix, cost.nbytes / cost.values)

    def sources(self) -> dict[str, KnownFrom]:
        """Tell of which prefixes it is known how long a task takes, and from where."""
        return dict.fromkeys(self.seconds, KnownFrom.SESSION)


def _learn(known: dict[str, float], prefix: str, mean: float) -> None:
    known[prefix] = FADING * known.get(prefix, mean) + (1 - FADING) * mean
