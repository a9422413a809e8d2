"""The values from outside that each wanted key reads, directly or through other tasks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from dask.typing import Key

Reads = frozenset[Key]

#: Keys that are copied while sets are united, per task: chains over many inputs would cost the
#: square of their number.
BUDGET = 8
_NOTHING: Reads = frozenset()


def outside_reads(
    dependencies: Mapping[Key, Collection[Key]], wanted: Sequence[Key], outside: Collection[Key]
) -> dict[Key, Reads | None]:
    """Find the outside values that each wanted key needs.

    Parameters
    ----------
    dependencies : mapping of Key to collection of Key
        What each task reads.
    wanted : sequence of Key
        The keys to answer for.
    outside : collection of Key
        Keys that are not tasks.

    Returns
    -------
    dict of Key to frozenset of Key, or None
        Equal sets are mostly the same object. None where finding out would take more than linear
        time.
    """
    found: dict[Key, Reads | None] = {key: frozenset((key,)) for key in outside}
    left = BUDGET * (len(dependencies) + len(found)) + 1000
    for key in _inputs_first(dependencies, wanted, found):
        parts = {found[read] for read in dependencies[key]} - {_NOTHING}
        if None in parts or not parts:
            found[key] = None if parts else _NOTHING
            continue
        largest = max((part for part in parts if part is not None), key=len)
        if len(parts) > 1:
            left -= sum(len(part) for part in parts if part is not None)
            largest = largest.union(*(part for part in parts if part is not None))
        found[key] = largest if left > 0 else None
    return {key: found[key] for key in wanted}


def _inputs_first(
    dependencies: Mapping[Key, Collection[Key]],
    wanted: Sequence[Key],
    known: Mapping[Key, Reads | None],
) -> list[Key]:
    order: dict[Key, None] = {}
    open_keys: set[Key] = set()
    stack = list(wanted)
    while stack:
        key = stack[-1]
        if key in order or key in known:
            stack.pop()
            continue
        if key in open_keys:
            order[stack.pop()] = None
            continue
        open_keys.add(key)
        stack += [read for read in dependencies[key] if read not in order and read not in known]
    return list(order)
