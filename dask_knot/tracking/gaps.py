"""The gaps of a draft: tasks whose values aren't there or coming. All others are read.

Time passes between the draft and its plan, so it is brought up to date when it is due.
"""

from __future__ import annotations

from enum import Enum, auto

from dask.typing import Key

from dask_knot.tracking.adoption import hold, is_made_elsewhere, is_taken
from dask_knot.tracking.drafts import Draft
from dask_knot.tracking.events import Graph
from dask_knot.tracking.moves import KeyState, ShardState
from dask_knot.tracking.records import KeyRecord
from dask_knot.tracking.state import TrackerState

THERE_OR_COMING = frozenset({KeyState.PLANNED, KeyState.STORED})


class Remake(Enum):
    """The keys that erred and are made again for their readers; else their failure is read."""

    NONE = auto()  # they erred just now: recovery goes on from what is known
    UNASKED = auto()  # Dask never asked for them, so it can't retry them either: a new graph
    ALL = auto()  # a retry, which begins with whatever failed first


def take_missing(
    state: TrackerState, draft: Draft, graph: Graph, key: Key, again: Remake = Remake.UNASKED
) -> None:
    """Take a task, and of what it reads only the tasks whose values aren't there or coming.

    Parameters
    ----------
    state : TrackerState
        What is known.
    draft : Draft
        Where they are put.
    graph : Graph
        Has the task.
    key : Key
        Names the task.
    again : Remake
        What of that which erred is made again.
    """
    stack = [(graph, key)]
    while stack:
        graph, key = stack.pop()
        if key in draft.origin:
            continue
        draft.add(graph, key)
        for needed in graph.tasks[key].dependencies:
            if needed in draft.origin:
                continue
            source = _graph_to_make(state, draft, needed, graph, again)
            if source is None:
                read(state, draft, needed)
            else:
                stack.append((source, needed))


def read(state: TrackerState, draft: Draft, key: Key) -> None:
    """Note that a draft reads a value from outside."""
    if key in draft.reads or key in draft.origin:
        return
    record = state.keys.get(key)
    if record is None:
        # Nobody knows it: only what reads it must err, not all that is planned with that.
        record = state.keys[key] = KeyRecord(key, None)
    draft.read(record)
    hold(state, draft, record)


def settle(state: TrackerState, draft: Draft) -> None:
    """Bring a draft up to date when it is going to be planned.

    Drafts that make what this one reads are taken in: they would be planned too late.
    """
    while stale := [record for record in draft.reads.values() if _is_stale(state, draft, record)]:
        for record in stale:
            if draft.reads.get(record.key) is record:
                _replace(state, draft, record)
    for key in [key for key in draft.tasks if key in state.keys]:
        record = state.keys[key]
        if record.draft is not draft and record.state in THERE_OR_COMING:
            draft.discard(key)
            read(state, draft, key)


def prune(state: TrackerState, draft: Draft) -> None:
    """Take out of a draft what others make by now, and what is needed for that only."""
    draft.note_look(state.told)
    stack = [r.key for r in draft.wanted if r.draft is draft and not is_taken(state, r)]
    wanted, kept, taken = set(stack), set[Key](), set[Key]()
    while stack:
        key = stack.pop()
        if key in kept or key in taken or key not in draft.tasks:
            continue
        if key not in wanted and _is_made_elsewhere(state, draft, key):
            taken.add(key)  # it may be read by several
            continue
        kept.add(key)
        stack += draft.tasks[key].dependencies
    for key in [key for key in draft.tasks if key not in kept]:
        draft.discard(key)
    for key in kept:
        for needed in draft.tasks[key].dependencies:
            if needed not in kept:
                read(state, draft, needed)


def _is_made_elsewhere(state: TrackerState, draft: Draft, key: Key) -> bool:
    """Tell whether others make what a draft needs; for another draft, too, that waits for it."""
    record = state.keys.get(key)
    if record is None or record.state is KeyState.GONE:
        return is_made_elsewhere(state, draft.origin[key], key)
    is_waiting = record.state is KeyState.WAITING and record.draft is not draft
    return is_waiting and is_taken(state, record)


def is_stale(state: TrackerState, draft: Draft) -> bool:
    """Tell whether something that a draft reads isn't where it was when the draft was settled."""
    return any(_is_stale(state, draft, record) for record in draft.reads.values())


def _is_stale(state: TrackerState, draft: Draft, record: KeyRecord) -> bool:
    if record.key in draft.tasks or record.state is KeyState.WAITING:
        return True
    if record.state is not KeyState.GONE and not _is_unreadable(record):
        return False
    is_superseded = record.key in state.keys and not state.is_current(record)
    return is_superseded or record.graph is not None


def _replace(state: TrackerState, draft: Draft, record: KeyRecord) -> None:
    """Make, or read from elsewhere, what a draft would read in vain."""
    key = record.key
    if key in draft.tasks and record.state in THERE_OR_COMING and state.is_current(record):
        draft.discard(key)  # a draft that was taken in reads it, and it would be made once more
        return
    if key not in draft.tasks:
        waiting = state.draft_of(record)
        if waiting is not None:
            _merge(state, draft, waiting)
        elif record.graph is not None and (state.is_current(record) or key not in state.keys):
            take_missing(state, draft, record.graph, key)
    draft.leave(key)
    read(state, draft, key)
    state.let_go([record])


def _merge(state: TrackerState, draft: Draft, other: Draft) -> None:
    twice = draft.absorb(other)
    state.drafts.remove(other)  # not before: what it holds would be nowhere if this failed
    state.let_go(twice)


def _graph_to_make(
    state: TrackerState, draft: Draft, key: Key, graph: Graph, again: Remake
) -> Graph | None:
    """Name the graph by which a key is to be made now, or None if its value is there or coming."""
    record = state.keys.get(key)
    if record is not None and not (record.draft is draft or _is_missing(record, again)):
        return None
    own = record.graph if record is not None else None
    source = own if own is not None and key in own.tasks else graph
    if key not in source.tasks:
        return None
    if record is None or record.state is KeyState.GONE:
        return None if is_made_elsewhere(state, source, key) else source
    return source


def _is_missing(record: KeyRecord, again: Remake) -> bool:
    if record.state is KeyState.GONE or _is_unreadable(record):
        return True
    if record.state is not KeyState.ERRED or again is Remake.NONE:
        return False
    return again is Remake.ALL or not record.is_wanted


def _is_unreadable(record: KeyRecord) -> bool:
    """Tell whether its failure is in a part of a shard that never ended: only last ones are read.

    Dask was told of it, or can be; a shard that reads the key has to make it again.
    """
    return (
        record.state is KeyState.ERRED
        and record.error is None
        and record.shard is not None
        and record.shard.state in (ShardState.FAILED, ShardState.DROPPED)
    )
