"""Views of a session's jobs in Dask's dashboard: the one way into this room from a scheduler."""

from __future__ import annotations

import logging
import time
from array import array
from collections.abc import Sequence
from typing import Any

from dask.typing import Key
from distributed import Scheduler

from dask_knot.dashboard.absence import MISSING, UNWANTED, dashboards, explain_absence
from dask_knot.dashboard.overview import Overview, Spent, overview
from dask_knot.dashboard.shardtimes import ShardTimes
from dask_knot.dashboard.stream import Stream
from dask_knot.session.session import Session
from dask_knot.session.watcher import ChildEvent
from dask_knot.tracking.events import ManifestFound

logger = logging.getLogger(__name__)


def add_views(scheduler: Scheduler, session: Session) -> None:
    """Feed Dask's task stream, answer questions about progress, and serve the Knot page.

    The page is there if Dask's own are: they, too, need bokeh. If they aren't, the address of the
    dashboard says why.
    """
    views = Views(session)
    scheduler.add_plugin(views.stream)
    session.hooks.found = views.take
    scheduler.handlers["knot_progress"] = views.progress
    pages = dashboards(scheduler)
    if not pages:
        is_wanted = session.settings.dashboard_address is not None
        explain_absence(scheduler, MISSING if is_wanted else UNWANTED)
        return
    from dask_knot.dashboard.page import add_page
    from dask_knot.dashboard.parts import Look

    add_page(scheduler, pages[0].prefix, Look(views.overview, views.shards))


class Views:
    """All that is to be seen of a session's jobs.

    Parameters
    ----------
    session : Session
        Runs them.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.stream = Stream()
        self.shards = ShardTimes()

    def take(self, found: Sequence[ChildEvent]) -> None:
        """Put the tasks of new manifests into the stream; an error here must not reach the jobs."""
        try:
            manifests = [event for event in found if isinstance(event, ManifestFound)]
            outputs_of = self._session.progress.outputs_of
            for event in sorted(manifests, key=_first_start):
                shard, manifest = event.shard, event.manifest
                slot = self.stream.take(shard, manifest, outputs_of(shard))
                if slot is not None:
                    self.shards.take(shard, manifest, slot)
            self.stream.keep(self._session.progress.is_open)
        except Exception:
            logger.exception("the task stream could not be updated")

    def progress(
        self, keys: Sequence[Key] | None = None, plans: Sequence[int] = ()
    ) -> dict[str, Any]:
        """Say how far the tasks are that make some keys, or all that run; for `progress`."""
        progress = self._session.progress
        chosen, waiting = progress.plans_of(keys or ())
        chosen.update(plans)
        seen = progress.snapshot(chosen if keys is not None else None)
        return {
            "plans": sorted(chosen),
            "tasks": [(name, c.done, c.erred, c.total) for name, c in seen.tasks.items()],
            "waiting": waiting if keys is not None else seen.waiting,
            "is_idle": progress.is_idle,
        }

    def overview(self) -> Overview:
        """Give what the Knot page shows."""
        session = self._session
        progress = session.progress
        running = {id: job.counts for id, job in progress.running_jobs().items()}
        moved, decisions = session.traffic(), session.decisions
        spent = Spent(
            session.spending.words(),
            {str(id): cost for id, cost in session.spending.stages().items()},
        )
        seen = progress.snapshot()
        return overview(seen, running, session.slots, moved, decisions, spent, time.time())


def _first_start(event: ManifestFound) -> float:
    return min(array("d", event.manifest.times)[::2], default=0.0)
