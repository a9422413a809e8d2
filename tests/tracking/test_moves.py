"""The tables of legal moves, and that records go by them."""

from __future__ import annotations

import pytest

from dask_knot.run.names import ShardId, StageId
from dask_knot.tracking.moves import (
    KEY_MOVES,
    SHARD_MOVES,
    IllegalMoveError,
    KeyEvent,
    KeyState,
    ShardEvent,
    ShardState,
)
from dask_knot.tracking.records import KeyRecord, ShardRecord

SHARD = ShardId(StageId(3, 1), 2)


def key_in(state: KeyState) -> KeyRecord:
    """Make a record, and put it where else only events do."""
    record = KeyRecord("key", None)
    record.state = state
    return record


@pytest.mark.parametrize("state", KeyState)
@pytest.mark.parametrize("event", KeyEvent)
def test_keys_move_by_their_table(state: KeyState, event: KeyEvent) -> None:
    record = key_in(state)
    if (new := KEY_MOVES[state].get(event)) is not None:
        assert record.is_late(event) is (new is state)
        assert record.move(event) is (new is not state)
        assert record.state is new
    else:
        with pytest.raises(IllegalMoveError, match=f"{event} .* {state}"):
            record.move(event)
        assert record.state is state


@pytest.mark.parametrize("state", ShardState)
@pytest.mark.parametrize("event", ShardEvent)
def test_shards_move_by_their_table(state: ShardState, event: ShardEvent) -> None:
    record = ShardRecord(SHARD, 1)
    record.state = state
    if (new := SHARD_MOVES[state].get(event)) is not None:
        assert record.is_late(event) is (new is state)
        record.move(event)
        assert record.state is new
    else:
        with pytest.raises(IllegalMoveError, match=f"{event} .* {state}"):
            record.move(event)
        assert record.state is state


def test_only_open_shards_change_unless_they_are_adopted() -> None:
    for state, row in SHARD_MOVES.items():
        late = {event: after for event, after in row.items() if event is not ShardEvent.ADOPTED}
        assert state is ShardState.OPEN or {*late.values()} == {state}


@pytest.mark.parametrize("event", KeyEvent)
def test_no_event_of_a_key_is_without_a_state(event: KeyEvent) -> None:
    assert any(event in row for row in KEY_MOVES.values())


@pytest.mark.parametrize("event", ShardEvent)
def test_no_event_of_a_shard_is_without_a_state(event: ShardEvent) -> None:
    assert any(event in row for row in SHARD_MOVES.values())


@pytest.mark.parametrize("state", KeyState)
def test_every_state_of_a_key_can_be_reached_and_left(state: KeyState) -> None:
    assert any(state in row.values() for old, row in KEY_MOVES.items() if old is not state)
    assert {*KEY_MOVES[state].values()} != {state}


@pytest.mark.parametrize("state", KeyState)
@pytest.mark.parametrize(
    "event", [KeyEvent.RELEASED, KeyEvent.TAKEN, KeyEvent.REPLACED, KeyEvent.ASKED, KeyEvent.WANTED]
)
def test_dask_may_do_what_it_likes_at_any_time(state: KeyState, event: KeyEvent) -> None:
    assert event in KEY_MOVES[state]


@pytest.mark.parametrize("state", [KeyState.STORED, KeyState.ERRED])
@pytest.mark.parametrize("event", [KeyEvent.VALUE_FOUND, KeyEvent.FAILURE_FOUND, KeyEvent.STARVED])
def test_what_was_committed_stands(state: KeyState, event: KeyEvent) -> None:
    assert key_in(state).is_late(event)
