"""Large constants of graphs: known by their content, so that each is kept and stored once."""

from __future__ import annotations

import hashlib
import pickle
from weakref import WeakValueDictionary

from dask.typing import Key

from dask_knot.graphs.mutability import can_change
from dask_knot.run import codec
from dask_knot.run.codec import SIMPLE, Bytes
from dask_knot.task.buffers import copied
from dask_knot.task.copies import OwnCopy

#: Constants of this size are stored apart: as with values between shards, smaller ones cost less
#: where they stand, in the pack (2,000 shards that read one of 64 KiB make a pack of 128 MiB).
LARGE = 64 * 1024


class Constant(OwnCopy):
    """A literal whose key says what is in it; it is pickled already.

    Attributes
    ----------
    parts : list of bytes-like
        What `codec.pickled` gave: the memory of arrays is that of the value, not a copy.
    """

    def __init__(self, key: Key, parts: list[Bytes], is_fixed: bool) -> None:
        super().__init__(key, parts, is_fixed)
        self.parts = parts


class Constants:
    """All large constants of the graphs that are kept: equal ones are one object."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[str, Constant] = WeakValueDictionary()

    def take(self, value: object, least: int = LARGE) -> Constant | None:
        """Make a constant of a value; None if its pickle is smaller than `least` bytes."""
        try:
            parts = codec.pickled(value)
        except Exception:  # it is refused later on, with the name of its task
            return None
        if codec.size(parts) < least:
            return None
        digest = hashlib.sha256()
        for part in parts:
            digest.update(memoryview(part).nbytes.to_bytes(8, "little"))
            digest.update(part)
        key = f"knot-constant-{digest.hexdigest()[:40]}"
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = Constant(key, parts, not can_change(value))
        return known


def own_copy(value: object, key: Key | None = None) -> OwnCopy | None:
    """Let a value be made anew wherever it is read; None if it can't be pickled."""
    if _is_simple(value):
        return OwnCopy(key, [pickle.dumps(value, 5)])
    try:
        body, *buffers = codec.pickled(value)
        return OwnCopy(key, [body, *map(copied, buffers)])
    except Exception:  # it is refused later on, with the name of its task
        return None


def _is_simple(value: object) -> bool:
    """Tell whether a value is one of those that graphs have thousands of: any pickle takes it."""
    if type(value) is list:
        return SIMPLE.issuperset(map(type, value))
    return type(value) is dict and SIMPLE.issuperset(map(type, [*value, *value.values()]))
