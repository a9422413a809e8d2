"""What has changed while tasks waited: what they read may have to be made, or the other way."""

from __future__ import annotations

from dask_knot.tracking.gaps import leave, read, take_missing
from dask_knot.tracking.records import Batch, KeyRecord
from dask_knot.tracking.state import State
from dask_knot.tracking.states import KeyState

THERE_OR_COMING = frozenset({KeyState.PLANNED, KeyState.STORED})


def settle(state: State, batch: Batch) -> None:
    """Bring a batch up to date when it is going to be planned.

    Batches that make what this one reads are taken in: they would be planned too late.
    """
    while stale := [record for record in batch.reads.values() if _is_stale(state, batch, record)]:
        for record in stale:
            if batch.reads.get(record.key) is record:
                _replace(state, batch, record)
    for key in [key for key in batch.tasks if key in state.keys]:
        record = state.keys[key]
        if record.batch is not batch and record.state in THERE_OR_COMING:
            leave(batch, key)
            read(state, batch, key)


def is_stale(state: State, batch: Batch) -> bool:
    """Whether something that a batch reads is not where it was when the batch was settled."""
    return any(_is_stale(state, batch, record) for record in batch.reads.values())


def _is_stale(state: State, batch: Batch, record: KeyRecord) -> bool:
    if record.key in batch.tasks or record.state is KeyState.WAITING:
        return True
    if record.state is not KeyState.GONE and not record.is_unreadable:
        return False
    is_superseded = record.key in state.keys and not state.is_current(record)
    return is_superseded or record.graph is not None


def _replace(state: State, batch: Batch, record: KeyRecord) -> None:
    """Make, or read from elsewhere, what a batch would read in vain."""
    key = record.key
    if key not in batch.tasks:
        if record.batch is not None:
            _merge(state, batch, record.batch)
        elif record.graph is not None and (state.is_current(record) or key not in state.keys):
            take_missing(state, batch, record.graph, key)
    batch.reads.pop(key, None)
    read(state, batch, key)
    state.let_go([record])


def _merge(state: State, batch: Batch, other: Batch) -> None:
    batch.tasks.update(other.tasks)
    batch.origin.update(other.origin)
    batch.literals |= other.literals
    batch.resources.update(other.resources)
    for record in other.wanted:
        if record.batch is other:
            record.batch = batch
            batch.wanted.append(record)
    state.batches.remove(other)  # not before: what it holds would be nowhere if this failed
    twice = [record for key, record in other.reads.items() if key in batch.reads]
    batch.reads = {**other.reads, **batch.reads}
    state.let_go(twice)
    sizes = [b.tasks_per_shard for b in (batch, other) if b.tasks_per_shard is not None]
    batch.tasks_per_shard = min(sizes, default=None)
