"""Ends children whose work is committed and that don't end: a slot is kept, a machine paid for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable

from dask_knot.batch.service import JobService
from dask_knot.run.names import ShardId, StageId
from dask_knot.session.outages import is_outage
from dask_knot.tracking.events import ManifestFound

logger = logging.getLogger(__name__)

#: So many seconds after its last manifest a child has ended by itself, plugins that tear down and
#: Batch's own delay included.
AFTER = 90.0
REASON = "its work is committed, but the job doesn't exit"


class OverstayWatch:
    """Looks at each child once, a while after its last manifest was seen; again if Batch is away.

    A child that is ended so fails its array, and Batch then fails what depends on that: which would
    have waited for the child as long as it lives, and is planned again.

    Parameters
    ----------
    service : JobService
        Knows the jobs.
    after : float
        Seconds after the last manifest.
    """

    def __init__(self, service: JobService, after: float = AFTER) -> None:
        self._service = service
        self._after = after
        self._due: dict[ShardId, float] = {}
        self._lock = threading.Lock()  # manifests are noted in the loop, children looked at beside

    def note(self, found: Iterable[object], now: float) -> None:
        """Note which children have committed all of their work."""
        with self._lock:
            for event in found:
                if isinstance(event, ManifestFound) and event.manifest.final:
                    self._due.setdefault(event.shard, now + self._after)

    def due(self) -> float | None:
        """Tell when `end` should be called at the latest."""
        with self._lock:
            return next(iter(self._due.values()), None)  # they come in order

    @property
    def stages(self) -> set[StageId]:
        """Those whose children are still to be looked at."""
        with self._lock:
            return {shard.stage for shard in self._due}

    def end(self, now: float) -> None:
        """End the children whose time is over; blocks."""
        with self._lock:
            over = [shard for shard, due in self._due.items() if due <= now]
        if not over:
            return
        again: list[ShardId] = []
        try:
            for id in self._service.running(over):
                logger.warning("job %s is stopped: %s", id, REASON)
                self._service.end([id], REASON)
        except Exception as error:  # the work is there: only money is at stake
            level = logging.DEBUG if is_outage(error) else logging.WARNING  # it is told elsewhere
            logger.log(level, "children that don't exit could not be stopped: %s", error)
            again = over
        with self._lock:
            for shard in over:
                del self._due[shard]
            self._due.update(dict.fromkeys(again, now + self._after))
