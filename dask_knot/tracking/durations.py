"""What tasks of each prefix cost, learned from manifests: the planner's weights."""

from __future__ import annotations

from collections.abc import Mapping

from dask_knot.store.manifest import Work

#: Weight of what was known before a manifest: old numbers fade, as Dask's own averages do.
FADING = 0.5


class Durations:
    """Seconds per task for each key prefix."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def learn(self, work: Mapping[str, Work]) -> None:
        """Take in what one shard's tasks cost."""
        for prefix, cost in work.items():
            if not cost.tasks:
                continue
            mean = cost.seconds / cost.tasks
            known = self.seconds.get(prefix, mean)
            self.seconds[prefix] = FADING * known + (1 - FADING) * mean
