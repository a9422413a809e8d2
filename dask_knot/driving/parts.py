"""What the driver works with."""

from __future__ import annotations

from dataclasses import dataclass

from dask_knot.batch.service import JobService
from dask_knot.driving.lingering import Lingering
from dask_knot.driving.stuck import StuckWatch
from dask_knot.driving.submission import Submitter
from dask_knot.driving.values import ValueReader
from dask_knot.driving.watching import Watcher
from dask_knot.settings import Tempo
from dask_knot.store.store import Store
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
