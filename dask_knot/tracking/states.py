"""The states of keys and of shards, and the moves between them that are legal."""

from __future__ import annotations

from enum import Enum, auto
from typing import TypeVar


class KeyState(Enum):
    """Where the value of a key stands.

    A key that has no record is inside a shard only, or unknown.
    """

    WAITING = auto()  # to be planned
    PLANNED = auto()  # an output of a shard that isn't done
    STORED = auto()  # its value is in the store
    ERRED = auto()  # a failure stands for its value
    GONE = auto()  # its value was deleted: making it again is planning again


class ShardState(Enum):
    """How far a shard is."""

    OPEN = auto()  # planned, submitted or running
    DONE = auto()  # its last manifest was found
    FAILED = auto()  # its child ended without one
    DROPPED = auto()  # nobody needs it any more


State = TypeVar("State", KeyState, ShardState)

KEY_MOVES = {
    KeyState.WAITING: {KeyState.PLANNED, KeyState.ERRED, KeyState.GONE},
    KeyState.PLANNED: {KeyState.STORED, KeyState.ERRED, KeyState.WAITING, KeyState.GONE},
    KeyState.STORED: {KeyState.GONE, KeyState.ERRED},
    KeyState.ERRED: {KeyState.GONE},
    KeyState.GONE: {KeyState.WAITING},
}

SHARD_MOVES = {
    ShardState.OPEN: {ShardState.DONE, ShardState.FAILED, ShardState.DROPPED},
    ShardState.DONE: set[ShardState](),
    ShardState.FAILED: set[ShardState](),
    ShardState.DROPPED: set[ShardState](),
}


class IllegalMoveError(AssertionError):
    """A move that no table lists: a mistake in the tracker, never of a user."""


def moved(old: State, new: State) -> State:
    """Check a move against its table.

    Raises
    ------
    IllegalMoveError
        If the table doesn't list it.
    """
    legal: object = new in KEY_MOVES[old] if isinstance(old, KeyState) else new in SHARD_MOVES[old]
    if not legal:
        raise IllegalMoveError(f"{old} -> {new}")
    return new
