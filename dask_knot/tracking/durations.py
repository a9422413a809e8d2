"""What tasks of each prefix cost and give, learned from manifests: the planner's weights."""

from __future__ import annotations

from collections.abc import Mapping

from dask_knot.run.manifest import Work

#: Weight of what was known before a manifest: old numbers fade, as Dask's own averages do.
FADING = 0.5


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


def _learn(known: dict[str, float], prefix: str, mean: float) -> None:
    known[prefix] = FADING * known.get(prefix, mean) + (1 - FADING) * mean
