"""What a listing of all objects of a run tells without reading one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dask_knot.run.names import ManifestId, Names, ShardId


@dataclass(frozen=True, slots=True)
class Survey:
    """The objects of a run at one moment.

    Attributes
    ----------
    objects, nbytes : int
        How many there are, and their bytes.
    manifests : sequence of ManifestId
        All manifests, parts and obituaries included.
    erred : set of ShardId
        Shards whose last manifest tells of errors, or will when it is there.
    claimed : set of ShardId
        Shards whose tasks somebody has claimed in part: clients, or the shard.
    sessions : sequence of int
        The numbers of the sessions that have opened it.
    """

    objects: int = 0
    nbytes: int = 0
    manifests: Sequence[ManifestId] = ()
    erred: frozenset[ShardId] = field(default_factory=frozenset)
    claimed: frozenset[ShardId] = field(default_factory=frozenset)
    sessions: Sequence[int] = ()

    @property
    def done(self) -> frozenset[ShardId]:
        """The shards that have a last manifest."""
        return frozenset(id.shard for id in self.manifests if id.part is None and not id.is_lost)

    @property
    def lost(self) -> frozenset[ShardId]:
        """The shards that have an obituary."""
        return frozenset(id.shard for id in self.manifests if id.is_lost)


def survey(names: Names, sizes: Mapping[str, int]) -> Survey:
    """Read what the names and sizes of a run's objects tell."""
    manifests = list(names.parse_manifests(sizes))
    begun = {id.shard for id in manifests}
    return Survey(
        len(sizes),
        sum(sizes.values()),
        manifests,
        frozenset(names.parse_erred(sizes)),
        frozenset(shard for shard in begun if names.claim(shard) in sizes),
        names.parse_sessions(name for name in sizes if name.startswith(names.sessions)),
    )
