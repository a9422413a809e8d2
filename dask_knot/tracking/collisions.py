"""Collisions: a key may stand for other work than the graph of a task that reads it says.

In Dask a key that is there is taken for what it was made as, though its code was edited since, and
the name of a function stayed. So it is here, in one session. What is made of such a value has no
digest: in a later session it would be taken for work that nobody has done.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Set

from dask.typing import Key

from dask_knot.tracking.drafts import Draft
from dask_knot.tracking.events import Graph
from dask_knot.tracking.records import KeyRecord


def misread(draft: Draft, graphs: Collection[Graph]) -> Set[Key]:
    """Name the tasks of a draft whose digests say something else than what they will read.

    Parameters
    ----------
    draft : Draft
        Tasks that will be planned.
    graphs : collection of Graph
        All that these come from.
    """
    if not any(graph.digests for graph in graphs):
        return frozenset()
    suspects = _suspects(draft, graphs)
    # Of what graphs disagree about nobody can tell later whose it was.
    first = _readers_of_others(draft, suspects) | (suspects & draft.tasks.keys())
    return _with_readers(draft, first) if first else frozenset()


def content(record: KeyRecord) -> bytes | None:
    """Give the digest of what a value is, or will be, whatever graphs say by now."""
    return record.work if record.shard is None else record.digest


def _suspects(draft: Draft, graphs: Collection[Graph]) -> set[Key]:
    """Name the keys for which some graph has another digest than that of what is read."""
    found = set()
    for graph in graphs:
        digests = graph.digests
        for key, record in draft.reads.items():
            if key in graph.tasks and digests.get(key) != content(record):
                found.add(key)
        if len(graphs) > 1:  # each may have tasks of the same name
            mine = draft.origin.keys() & graph.tasks.keys() if digests else ()
            found |= {key for key in mine if draft.digest(key) != digests.get(key)}
    return found


def _readers_of_others(draft: Draft, suspects: Set[Key]) -> set[Key]:
    """Name the tasks that read one of some keys as something else than it is."""
    return {
        key
        for key, graph in (draft.origin.items() if suspects else ())
        for read in suspects & draft.tasks[key].dependencies
        if read in graph.tasks and graph.digests.get(read) != _content(draft, read)
    }


def _content(draft: Draft, key: Key) -> bytes | None:
    return draft.digest(key) if key in draft.tasks else content(draft.reads[key])


def _with_readers(draft: Draft, keys: Iterable[Key]) -> set[Key]:
    """Name tasks, and all that read them, whether at once or through others."""
    readers: dict[Key, list[Key]] = {}
    for key, task in draft.tasks.items():
        for read in task.dependencies:
            readers.setdefault(read, []).append(key)
    found: set[Key] = set()
    left = list(keys)
    while left:
        key = left.pop()
        if key not in found:
            found.add(key)
            left += readers.get(key, ())
    return found
