"""Does the recount, on which the simulation leans, notice mistakes?"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dask_knot.tracking.moves import KeyState
from dask_knot.tracking.state import TrackerState

from . import recount
from .hands import Hands
from .memory import remembered


def _forget_running(state: TrackerState) -> None:
    state.running.clear()


def _miscount_open(state: TrackerState) -> None:
    state.open_shards += 1


def _miscount_readers(state: TrackerState) -> None:
    state.keys["a"].readers += 1


def _misplace(state: TrackerState) -> None:
    state.keys["a"].state = KeyState.STORED


def _keep(state: TrackerState) -> None:
    state.keys["a"].is_wanted = state.keys["a"].is_known = False


@pytest.mark.parametrize(
    "mistake", [_forget_running, _miscount_open, _miscount_readers, _misplace, _keep]
)
def test_a_mistake_is_noticed(mistake: Callable[[TrackerState], None]) -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    hands.plan()
    recount.check(remembered(hands.tracker))
    mistake(remembered(hands.tracker))
    with pytest.raises(AssertionError):
        recount.check(remembered(hands.tracker))
