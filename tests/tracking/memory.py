"""The one way in which tests look at what a tracker remembers."""

from __future__ import annotations

from typing import Any, cast

from dask_knot.tracking.state import TrackerState


def remembered(tracker: Any) -> TrackerState:
    """Give the records of a tracker."""
    return cast(TrackerState, tracker._state)
