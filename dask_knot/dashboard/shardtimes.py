"""When shards ran, and in which slot: from manifests alone. Pure."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from dask_knot.run.manifest import Manifest
from dask_knot.run.names import ShardId

#: Shards that are remembered.
REMEMBERED = 2000


@dataclass(slots=True)
class ShardTime:
    """A shard that has run tasks.

    Attributes
    ----------
    slot : int
        The slot that it ran in.
    first, last : float
        When its first task began and its last one ended, in seconds since the epoch.
    tasks, erred : int
        Tasks that ran; those of them that raised.
    is_done : bool
        Whether nothing more is to come.
    """

    slot: int
    first: float
    last: float
    tasks: int = 0
    erred: int = 0
    is_done: bool = False


class ShardTimes:
    """Remembers when the latest shards ran.

    Attributes
    ----------
    shards : dict of ShardId to ShardTime
        Those that told last, the oldest first.
    changes : int
        Grows with each manifest.
    """

    def __init__(self) -> None:
        self.shards: dict[ShardId, ShardTime] = {}
        self.changes = 0

    def take(self, id: ShardId, manifest: Manifest, slot: int) -> None:
        """Note the tasks of a manifest that ran in some slot."""
        if not (times := array("d", manifest.times)):
            return
        first, last = min(times[::2]), max(times[1::2])
        known = self.shards.pop(id, None) or ShardTime(slot, first, last)
        known.slot = slot
        known.first, known.last = min(known.first, first), max(known.last, last)
        known.tasks += sum(work.tasks for work in manifest.work.values())
        known.erred += sum(work.erred for work in manifest.work.values())
        known.is_done = manifest.final
        self.shards[id] = known
        self.changes += 1
        while len(self.shards) > REMEMBERED:
            del self.shards[next(iter(self.shards))]
