"""Does the recount, on which the simulation leans, notice mistakes?"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dask_knot.tracking.state import State
from dask_knot.tracking.states import KeyState

from . import recount
from .hands import Hands


def _forget_running(state: State) -> None:
    state.running.clear()


def _miscount_open(state: State) -> None:
    state.open_shards += 1


def _miscount_readers(state: State) -> None:
    state.keys["a"].readers += 1


def _misplace(state: State) -> None:
    state.keys["a"].state = KeyState.STORED


def _keep(state: State) -> None:
    state.keys["a"].is_wanted = state.keys["a"].is_known = False


@pytest.mark.parametrize(
    "mistake", [_forget_running, _miscount_open, _miscount_readers, _misplace, _keep]
)
def test_a_mistake_is_noticed(mistake: Callable[[State], None]) -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    hands.plan()
    recount.check(hands.tracker.state)
    mistake(hands.tracker.state)
    with pytest.raises(AssertionError):
        recount.check(hands.tracker.state)
