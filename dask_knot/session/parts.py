"""What the driver works with."""

from __future__ import annotations

from dataclasses import dataclass

from dask_knot.batch.service import JobService
from dask_knot.run.store import Store
from dask_knot.session.lingering import Lingering
from dask_knot.session.stalls import StuckWatch
from dask_knot.session.submission import Submitter
from dask_knot.session.values import ValueReader
from dask_knot.session.watcher import Watcher
from dask_knot.settings.settings import Tempo
from dask_knot.tracking.tracker import Tracker


@dataclass(frozen=True, slots=True)
class Parts:
    """What the driver works with."""

    tracker: Tracker
    store: Store
    service: JobService
    values: ValueReader
    submitter: Submitter
    watcher: Watcher
    stuck: StuckWatch
    lingering: Lingering
    tempo: Tempo
