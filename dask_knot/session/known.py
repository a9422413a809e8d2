"""The manifests that were read: each once, unless its shard is done and awaited again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from dask_knot.run.names import ManifestId, ShardId, StageId


@dataclass(slots=True)
class _Seen:
    """What was read of a shard since an opening."""

    opening: int
    manifests: set[ManifestId] = field(default_factory=set)


class KnownManifests:
    """Knows which manifests are new, and which were there before anybody here looked.

    Parameters
    ----------
    opening : callable, optional
        Of a named run, since which opening something is awaited of a shard, or None. What is told
        of others isn't read, and what was read of one that is done, or since an earlier opening,
        counts no more: what is awaited now is something else.
    """

    def __init__(self, opening: Callable[[ShardId], int | None] | None = None) -> None:
        self._is_named = opening is not None
        self._opening = opening or (lambda shard: 0)
        self._seen: dict[StageId, dict[ShardId, _Seen]] = {}
        self._past: dict[StageId, set[ShardId]] = {}  # something was there when it wasn't open
        self._looked_at: set[StageId] = set()  # at the last look
        self._ever: set[StageId] = set()
        self._looked: dict[ShardId, int | None] = {}  # at this look: since which opening
        self._old: set[StageId] = set()

    def begin_look(self, stages: Collection[StageId], adopted: Collection[StageId]) -> None:
        """Begin a look at some stages, some of which others have submitted."""
        self._seen = {id: self._seen.get(id, {}) for id in stages}
        self._past = {id: self._past.get(id, set()) for id in stages}
        first = set(stages) - self._looked_at
        self._looked = {}
        self._old = {id for id in first if id in adopted or id in self._ever}

    def new(self, listed: Iterable[ManifestId]) -> list[ManifestId]:
        """Pick those that are to be read; of an obituary a last manifest is the better one.

        Parts come first, which are listed behind the last one: what is told of a shard that is done
        counts no more, and its parts alone tell of the tasks in them when they ran.
        """
        found, done = [], set()
        for id in listed:
            shards = self._seen.get(id.shard.stage)
            if shards is None:
                continue
            if id.shard not in self._looked:  # once: it may be opened meanwhile
                self._looked[id.shard] = self._opening(id.shard)
            opening, seen = self._looked[id.shard], shards.get(id.shard)
            if opening is None or (seen is not None and seen.opening != opening):
                shards.pop(id.shard, None)
                self._past[id.shard.stage].add(id.shard)
                seen = None
            if opening is not None and (seen is None or id not in seen.manifests):
                found.append(id)
                if is_last(id):
                    done.add(id.shard)
        found.sort(key=lambda id: id.part is None)
        return [id for id in found if not (id.is_lost and id.shard in done)]

    def looked(self, shard: ShardId) -> int | None:
        """Number the opening since which this look was for a shard that has told something."""
        return self._looked[shard]

    def opening(self, shard: ShardId) -> int | None:
        """Number the opening since which a shard is open, if this look has seen all that it told.

        None too if it was opened since: it is for the next look what became of it.
        """
        now = self._opening(shard)
        return now if self._looked.get(shard, now) == now else None

    def note(self, read: Sequence[ManifestId]) -> None:
        """End a look: note what was read."""
        for id in read:
            if (opening := self._looked[id.shard]) is not None:
                seen = self._seen[id.shard.stage].setdefault(id.shard, _Seen(opening))
                seen.manifests.add(id)
        for id in read:
            if self._is_named and id.part is None:  # it is done
                self._seen[id.shard.stage].pop(id.shard, None)
                self._past[id.shard.stage].add(id.shard)
        self._looked_at = set(self._seen)
        self._ever |= self._looked_at

    def is_old(self, id: ManifestId) -> bool:
        """Tell whether a manifest was there when its shard was looked at for the first time."""
        stage = id.shard.stage
        return stage in self._old or id.shard in self._past[stage]


def is_last(id: ManifestId) -> bool:
    """Tell whether a manifest says all that its shard has done."""
    return id.part is None and not id.is_lost
