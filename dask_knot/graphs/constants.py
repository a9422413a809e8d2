"""Large constants of graphs: known by their content, so that each is kept and stored once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pickle import PickleBuffer
from typing import Any
from weakref import WeakValueDictionary

from dask._task_spec import DataNode, GraphNode
from dask.typing import Key
from distributed.protocol import pickle

from dask_knot.store import codec
from dask_knot.store.codec import Bytes

#: Constants of this size are stored apart: as with values between shards, smaller ones cost less
#: where they stand, in the pack (2,000 shards that read one of 64 KiB make a pack of 128 MiB).
LARGE = 64 * 1024


class Constant(GraphNode):  # type: ignore[misc]
    """A literal whose key says what is in it; it is pickled already.

    Attributes
    ----------
    parts : list of bytes-like
        What `codec.pickled` gave: the memory of arrays is that of the value, not a copy.
    size : int
        Bytes of all parts.
    """

    def __init__(self, key: Key, parts: list[Bytes]) -> None:
        self.key = key
        self.parts = parts
        self.size = codec.size(parts)
        self._dependencies: frozenset[Key] = frozenset()

    def __call__(self, values: object = ()) -> Any:
        """Give the value."""
        return pickle.loads(self.parts[0], buffers=self.parts[1:])

    def __repr__(self) -> str:
        return f"<Constant {self.key}: {self.size} bytes>"

    def __reduce__(self) -> tuple[Callable[..., DataNode], tuple[Any, ...]]:
        body, *buffers = self.parts
        return _restore, (self.key, bytes(body), *(PickleBuffer(buffer) for buffer in buffers))


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
            known = self._known[key] = Constant(key, parts)
        return known


def _restore(key: Key, body: bytes, *buffers: Any) -> DataNode:
    return DataNode(key, pickle.loads(body, buffers=buffers))
