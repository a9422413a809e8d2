"""The tables of legal moves."""

from __future__ import annotations

import pytest

from dask_knot.tracking.states import (
    KEY_MOVES,
    SHARD_MOVES,
    IllegalMoveError,
    KeyState,
    ShardState,
    moved,
)


@pytest.mark.parametrize("old", KeyState)
@pytest.mark.parametrize("new", KeyState)
def test_keys_move_by_their_table(old: KeyState, new: KeyState) -> None:
    if new in KEY_MOVES[old]:
        assert moved(old, new) is new
    else:
        with pytest.raises(IllegalMoveError, match=f"{old} -> {new}"):
            moved(old, new)


@pytest.mark.parametrize("old", ShardState)
@pytest.mark.parametrize("new", ShardState)
def test_shards_move_by_their_table(old: ShardState, new: ShardState) -> None:
    if new in SHARD_MOVES[old]:
        assert moved(old, new) is new
    else:
        with pytest.raises(IllegalMoveError, match=f"{old} -> {new}"):
            moved(old, new)


def test_only_open_shards_move() -> None:
    assert [state for state, moves in SHARD_MOVES.items() if moves] == [ShardState.OPEN]


@pytest.mark.parametrize("state", KeyState)
def test_no_key_stays_where_it_is(state: KeyState) -> None:
    assert state not in KEY_MOVES[state]
