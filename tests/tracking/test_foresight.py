"""What would be planned, and that looking ahead changes nothing."""

from __future__ import annotations

from dask.typing import Key

from dask_knot.planning import PlanRequest
from dask_knot.tracking import actions, events

from . import recount
from .hands import Hands, graph
from .memory import remembered

CHAIN: dict[Key, list[Key]] = {"a-1": [], "b-1": ["a-1"], "c-1": ["b-1"]}


def foreseen(hands: Hands, reads: dict[Key, list[Key]], *wanted: Key) -> PlanRequest | None:
    """Look ahead, and check that the tracker is as it was."""
    state = remembered(hands.tracker)
    before = {
        key: (record.state, record.readers, record.draft) for key, record in state.keys.items()
    }
    request, *_ = hands.tracker.foresee(graph(reads, wanted))
    after = {
        key: (record.state, record.readers, record.draft) for key, record in state.keys.items()
    }
    assert after == before
    assert not state.actions
    recount.check(state)
    return request


def test_it_is_what_is_then_asked() -> None:
    hands = Hands()
    request = foreseen(hands, CHAIN, "c-1")
    hands.submit(CHAIN, "c-1")
    assert request == hands.last(actions.MakePlan).request


def test_what_is_there_or_coming_is_read() -> None:
    hands = Hands()
    hands.submit(CHAIN, "b-1")
    request = foreseen(hands, CHAIN, "c-1")
    assert request is not None
    assert (list(request.dependencies), list(request.external)) == (["c-1"], ["b-1"]), "waiting"
    hands.plan()
    request = foreseen(hands, CHAIN, "c-1")
    assert request is not None
    assert request.external == {"b-1": hands.shard_of("b-1").stage}, "running"
    hands.finish(hands.shard_of("b-1"))
    request, sizes, *_ = hands.tracker.foresee(graph(CHAIN, ["c-1"]))
    assert request is not None
    assert request.external == {"b-1": None}, "stored"
    assert sizes.of("b-1") == 8


def test_nothing_is_asked_for_what_is_there() -> None:
    hands = Hands()
    hands.submit(CHAIN, "c-1")
    assert foreseen(hands, CHAIN, "c-1") is None


def test_what_erred_or_went_is_made_again() -> None:
    hands = Hands()
    hands.submit(CHAIN, "c-1")
    hands.plan()
    hands.finish(hands.shard_of("c-1"))
    hands.tell(events.KeyReleased("c-1", False))
    request = foreseen(hands, CHAIN, "c-1")
    assert request is not None
    assert list(request.dependencies) == list(CHAIN)
