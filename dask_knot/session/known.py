"""The manifests that were read: each once, unless its shard is done and awaited again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from dask_knot.run.names import ManifestId, ShardId, StageId


class KnownManifests:
    """Knows which manifests are new, and which were there before anybody here looked.

    Parameters
    ----------
    is_open : callable, optional
        Of a named run, whether anything is awaited of a shard. What is told of others isn't read,
        and what was read of one that is done counts no more: it may be awaited again.
    """

    def __init__(self, is_open: Callable[[ShardId], bool] | None = None) -> None:
        self._is_open = is_open
        self._seen: dict[StageId, dict[ShardId, set[ManifestId]]] = {}
        self._past: dict[StageId, set[ShardId]] = {}  # something was there when it wasn't open
        self._looked_at: set[StageId] = set()  # at the last look
        self._ever: set[StageId] = set()
        self._old: set[StageId] = set()

    def begin_look(self, stages: Collection[StageId], adopted: Collection[StageId]) -> None:
        """Begin a look at some stages, some of which others have submitted."""
        self._seen = {id: self._seen.get(id, {}) for id in stages}
        self._past = {id: self._past.get(id, set()) for id in stages}
        first = set(stages) - self._looked_at
        self._old = {id for id in first if id in adopted or id in self._ever}

    def new(self, listed: Iterable[ManifestId]) -> list[ManifestId]:
        """Pick those that are to be read; of an obituary a last manifest is the better one.

        Parts come first, which are listed behind the last one: what is told of a shard that is done
        counts no more, and its parts alone tell of the tasks in them when they ran.
        """
        found, done = [], set()
        for id in listed:
            seen = self._seen.get(id.shard.stage)
            if seen is None:
                continue
            if not self.is_awaited(id.shard):
                seen.pop(id.shard, None)
                self._past[id.shard.stage].add(id.shard)
            elif id not in seen.get(id.shard, ()):
                found.append(id)
                if is_last(id):
                    done.add(id.shard)
        found.sort(key=lambda id: id.part is None)
        return [id for id in found if not (id.is_lost and id.shard in done)]

    def is_awaited(self, shard: ShardId) -> bool:
        """Tell whether anything is awaited of a shard."""
        return self._is_open is None or self._is_open(shard)

    def note(self, read: Sequence[ManifestId]) -> None:
        """End a look: note what was read."""
        for id in read:
            self._seen[id.shard.stage].setdefault(id.shard, set()).add(id)
        for id in read:
            if self._is_open is not None and id.part is None:  # it is done
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
