"""The legal moves: which event may come to a key, or to a shard, in which state, and what follows.

Whatever isn't in these tables is a mistake of the tracker. What is late, and changes nothing, is in
them: a second release, the manifest of an attempt that lost its race, the end of a job that was
terminated. Records move by these tables and in no other way.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import TypeVar


class _Member(Enum):
    """An Enum whose members are hashed by identity: Enum's own hash is slow, and keys are many."""

    __hash__ = object.__hash__


class KeyState(_Member):
    """The stations of the value of a key.

    A key that has no record is inside a shard only, or unknown. A record begins as GONE.
    """

    WAITING = auto()  # to be planned
    PLANNED = auto()  # an output of a shard that isn't done
    STORED = auto()  # its value is in the store
    ERRED = auto()  # a failure stands for its value
    GONE = auto()  # there is no value, or no longer: making it (again) is planning


class KeyEvent(_Member):
    """An event in the life of a key."""

    WANTED = auto()  # a graph was submitted that wants it
    TAKEN = auto()  # Dask has taken, or refused, a graph that wants it
    ASKED = auto()  # Dask asks for the outcome
    RELEASED = auto()  # Dask holds it no longer
    NEEDED = auto()  # what reads it is made, and it is made with that
    UNNEEDED = auto()  # neither Dask nor a shard needs it any more
    REPLACED = auto()  # the key begins anew, with another record
    SCATTERED = auto()  # the client has stored its value itself
    PLANNED = auto()  # a shard of a new plan makes it
    REFUSED = auto()  # nothing can be planned that makes it
    VALUE_FOUND = auto()  # a manifest has its value
    FAILURE_FOUND = auto()  # a manifest says that its task, or one before it, raised
    STARVED = auto()  # a manifest says that an input of it could not be read
    FAILURE_OLD = auto()  # a manifest of an earlier session says that it failed then
    HANDED_OVER = auto()  # its shard has handed it over, to be planned again
    WITHDRAWN = auto()  # its stage hadn't started, and is planned anew
    SHARD_LOST = auto()  # its shard ended without it, and is planned again
    SHARD_FAILED = auto()  # its shard ended without it, and won't be planned again
    VALUE_LOST = auto()  # its value can't be read, and isn't made again
    GIVEN_UP = auto()  # the tracker made a mistake: whatever has no outcome errs


class ShardState(_Member):
    """The stations of a shard."""

    OPEN = auto()  # planned, submitted or running
    DONE = auto()  # its last manifest was found
    FAILED = auto()  # its child ended without one
    DROPPED = auto()  # nobody needs it any more


class ShardEvent(_Member):
    """An event in the life of a shard."""

    SCATTERED = auto()  # it is a group of values that the client has stored itself
    ADOPTED = auto()  # a key needs again, or for the first time here, what it makes or made
    PART_FOUND = auto()  # a manifest was found, be it the last one or not
    ENDED = auto()  # all that its last manifest says was taken in
    CHILD_FAILED = auto()  # its child ended without a last manifest
    NOT_SUBMITTED = auto()  # Batch didn't take its stage
    WITHDRAWN = auto()  # its stage hadn't started, and is planned anew
    UNNEEDED = auto()  # no shard of its stage makes anything that is needed
    GIVEN_UP = auto()  # the tracker made a mistake: whatever runs is ended


S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)


class IllegalMoveError(AssertionError):
    """An event that may not come in that state: a mistake in the tracker, never of a user."""


class Row(dict[E, S]):
    """The events that may come in one state, and the states that follow.

    Raises
    ------
    IllegalMoveError
        If it is asked for an event that it doesn't list.
    """

    def __init__(self, state: S, *moves: Mapping[E, S]) -> None:
        super().__init__()
        self.state = state
        for move in moves:
            self.update(move)

    def __missing__(self, event: E) -> S:
        raise IllegalMoveError(f"{event} may not come in {self.state}")


#: What may come to a key in every state, and, unless a state says otherwise, changes nothing: Dask
#: and its clients act whenever they like.
_ALWAYS = (
    KeyEvent.WANTED,
    KeyEvent.TAKEN,
    KeyEvent.ASKED,
    KeyEvent.RELEASED,
    KeyEvent.REPLACED,
)


def _row(state: KeyState, moves: Mapping[KeyEvent, KeyState]) -> Row[KeyEvent, KeyState]:
    return Row(state, dict.fromkeys(_ALWAYS, state), {KeyEvent.UNNEEDED: KeyState.GONE}, moves)


#: For each state of a key: the events that may come, and the state that follows.
KEY_MOVES: Mapping[KeyState, Row[KeyEvent, KeyState]] = {
    KeyState.WAITING: _row(
        KeyState.WAITING,
        {
            KeyEvent.PLANNED: KeyState.PLANNED,
            KeyEvent.REFUSED: KeyState.ERRED,
            KeyEvent.GIVEN_UP: KeyState.ERRED,
        },
    ),
    KeyState.PLANNED: _row(
        KeyState.PLANNED,
        {
            KeyEvent.VALUE_FOUND: KeyState.STORED,
            KeyEvent.FAILURE_FOUND: KeyState.ERRED,
            KeyEvent.STARVED: KeyState.WAITING,
            KeyEvent.FAILURE_OLD: KeyState.WAITING,
            KeyEvent.HANDED_OVER: KeyState.WAITING,
            KeyEvent.WITHDRAWN: KeyState.WAITING,
            KeyEvent.SHARD_LOST: KeyState.WAITING,
            KeyEvent.SHARD_FAILED: KeyState.ERRED,
            KeyEvent.GIVEN_UP: KeyState.ERRED,
        },
    ),
    KeyState.STORED: _row(
        KeyState.STORED,
        {
            # A part had it already, or another attempt was first: what was committed stands.
            KeyEvent.VALUE_FOUND: KeyState.STORED,
            KeyEvent.FAILURE_FOUND: KeyState.STORED,
            KeyEvent.STARVED: KeyState.STORED,
            KeyEvent.FAILURE_OLD: KeyState.STORED,
            KeyEvent.VALUE_LOST: KeyState.ERRED,
        },
    ),
    KeyState.ERRED: _row(
        KeyState.ERRED,
        {
            KeyEvent.VALUE_FOUND: KeyState.ERRED,
            KeyEvent.FAILURE_FOUND: KeyState.ERRED,
            KeyEvent.STARVED: KeyState.ERRED,
            KeyEvent.FAILURE_OLD: KeyState.ERRED,
        },
    ),
    KeyState.GONE: _row(
        KeyState.GONE,
        {
            KeyEvent.WANTED: KeyState.WAITING,
            KeyEvent.ASKED: KeyState.WAITING,
            KeyEvent.NEEDED: KeyState.WAITING,
            KeyEvent.SCATTERED: KeyState.STORED,
        },
    ),
}

#: What a child and Batch tell of a shard that is over comes late, and changes nothing.
_LATE = (
    ShardEvent.PART_FOUND,
    ShardEvent.CHILD_FAILED,
    ShardEvent.NOT_SUBMITTED,
)

#: For each state of a shard: the events that may come, and the state that follows.
SHARD_MOVES: Mapping[ShardState, Row[ShardEvent, ShardState]] = {
    ShardState.OPEN: Row(
        ShardState.OPEN,
        {
            ShardEvent.SCATTERED: ShardState.DONE,
            ShardEvent.PART_FOUND: ShardState.OPEN,
            ShardEvent.ENDED: ShardState.DONE,
            ShardEvent.CHILD_FAILED: ShardState.FAILED,
            ShardEvent.NOT_SUBMITTED: ShardState.FAILED,
            ShardEvent.WITHDRAWN: ShardState.DROPPED,
            ShardEvent.UNNEEDED: ShardState.DROPPED,
            ShardEvent.GIVEN_UP: ShardState.DROPPED,
        },
    ),
    **{
        state: Row(state, dict.fromkeys(_LATE, state), {ShardEvent.ADOPTED: ShardState.OPEN})
        for state in (ShardState.DONE, ShardState.FAILED, ShardState.DROPPED)
    },
}
