"""Run: the only thing that puts, gets, lists or deletes an object of a run."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any

from dask.typing import Key

from dask_knot.errors import ReadOnlyStoreError, StoreError, StoreGoneError
from dask_knot.run import manifest, pack, versions, work
from dask_knot.run.almanac import Almanac
from dask_knot.run.archive import Archive
from dask_knot.run.codec import Bytes
from dask_knot.run.doorbell import Doorbell, doorbell_of
from dask_knot.run.inquiries import Inquiries
from dask_knot.run.layout import write_all
from dask_knot.run.manifest import Commit, Manifest, Output, Place
from dask_knot.run.names import ManifestId, Names, ShardId, StageId, first_plan, parse_pack
from dask_knot.run.orders import Claimant, Orders
from dask_knot.run.outbox import FarOutbox, NearOutbox, Outbox
from dask_knot.run.ownership import put_ours
from dask_knot.run.patience import IN_JOBS
from dask_knot.run.presence import SessionInfo
from dask_knot.run.store import Store
from dask_knot.run.supplies import Supplies
from dask_knot.run.survey import Survey, survey
from dask_knot.run.versions import PackedShard
from dask_knot.run.work import ShardWork

logger = logging.getLogger(__name__)

#: Up to so many stages are listed one by one: values of later plans may fill the run's folder.
LISTED_APART = 3
#: So often the folder of a run is emptied at most.
LOOKS = 5


class Run:
    """Everything that is kept in the store under one name, in the words of what it is for.

    One verb is one request unless it says otherwise. Whatever asks the store raises StoreError if
    that can't be asked, MissingObjectError if there is no such object, CorruptObjectError if it
    isn't what was written. For several threads.

    Parameters
    ----------
    store : Store
        Where the objects are.
    name : str
        The run's name.

    Attributes
    ----------
    names, record, almanac : Names, Archive, Almanac
        What objects are called; the record of a named run; what runs without names know.
    inquiries, supplies : Inquiries, Supplies
        Questions to jobs; what jobs are set up with.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self.names = names = Names(name)
        self.record, self.almanac = Archive(store, names), Almanac(store, names)
        self.inquiries, self.supplies = Inquiries(store, names), Supplies(store, names)

    @classmethod
    def of_pack(cls, url: str, patience: float = IN_JOBS) -> tuple[Run, StageId]:
        """Open the run that a pack belongs to, as jobs do, and tell which stage it holds.

        Raises
        ------
        ValueError
            If it is no URL of a pack.
        StoreError
            If the store isn't there, nor back before that is so many seconds old.
        """
        root, name, stage = parse_pack(url)
        return cls(Store.existing(root, patience), name), stage

    def __repr__(self) -> str:
        return f"<Run {self.name} in {self.store_url}>"

    @property
    def name(self) -> str:
        """The name of the run."""
        return self.names.run

    @property
    def store_url(self) -> str:
        """The URL of the store that it is in."""
        return self._store.url

    @property
    def is_mapped(self) -> bool:
        """Whether large values are mapped when they are read: they take no memory of their own."""
        return self._store.is_mapped

    @property
    def reads_at_once(self) -> int:
        """So many threads may read at once; what a line doesn't take waits."""
        return self._store.reads_at_once

    # How it is asked.

    def be_patient(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        """From now on, try again what fails for reasons that may pass."""
        self._store.be_patient(seconds, clock, wait)

    def at_once(self) -> Run:
        """Give this run without patience: what fails is an error at once."""
        hasty = Run(self._store.at_once(), self.name)
        hasty.record = self.record.on(hasty._store)
        return hasty

    def hurry(self) -> None:
        """End all waiting for trouble to pass."""
        self._store.hurry()

    def traffic(self) -> tuple[Counter[str], Counter[str]]:
        """Count what was asked so far, by operation, and the bytes ``read`` and ``written``."""
        return self._store.traffic()

    # What a client begins and ends with.

    def check_writable(self) -> None:
        """Write and remove one object, so that a store that can't be used is found out at once."""
        self._store.put(self.names.probe, [b"dask_knot"])
        self._store.delete([self.names.probe])

    def is_writable(self) -> bool:
        """Tell whether objects can be written, or only read; raises if the store is of no use."""
        try:
            self.check_writable()
        except ReadOnlyStoreError:
            return False
        return True

    def claim_session(self, who: SessionInfo | None = None) -> int:
        """Claim numbers for the plans of one session, and tell the first."""
        return first_plan(self.record.claim(who))

    def delete(self, objects: Iterable[str]) -> None:
        """Delete objects by name; those that are gone already don't matter."""
        self._store.delete(objects)

    def survey(self) -> Survey:
        """List all objects: one request for each thousand."""
        return survey(self.names, self._store.sizes(self.names.folder))

    def delete_all(self) -> None:
        """Delete all objects, and say in the log if something stays, instead of raising.

        It is looked at again: what a job had just sent when it ended may arrive after its end.
        """
        folder = self.names.folder
        try:
            for _ in range(LOOKS):
                self._store.delete_all(folder, self.names.info)
                if not self._store.list(folder):
                    return
            why = "someone is still writing there"
        except StoreGoneError:  # with all that was in it
            return
        except StoreError as error:
            why = str(error)
        logger.warning("not everything was deleted from %s/%s: %s", self.store_url, folder, why)

    # What a client tells jobs.

    def url_of(self, stage: StageId) -> str:
        """Give the URL that the jobs of a stage are started with: that of its pack."""
        return f"{self.store_url}/{self.names.pack(stage)}"

    def write_pack(
        self, stage: StageId, works: Iterable[ShardWork], plugins: str = "", bundle: str = ""
    ) -> str:
        """Write the shards of a stage, and give the URL that its jobs are started with.

        A task that can't be pickled raises in its job. `plugins` and `bundle` are the digests of
        what sets the jobs up.
        """
        shards = [work.encode(each, plugins, bundle) for each in works]
        self._store.put(self.names.pack(stage), pack.build(shards))
        return self.url_of(stage)

    def read_shard(self, shard: ShardId) -> PackedShard:
        """Read what one child has to know, not unpickled yet; in two or three requests.

        Raises
        ------
        VersionsError
            If it was packed with other versions than those here.
        """
        name = self.names.pack(shard.stage)
        read = partial(self._store.get_range, name)
        return versions.unseal(pack.read_shard(name, shard.index, read))

    def tell_orders(self, stage: StageId, orders: Orders) -> None:
        """Tell the children of a stage what to do; what was told before counts no more."""
        self._store.put(self.names.orders(stage), orders.encode())

    def read_orders(self, stage: StageId) -> Orders:
        """Read what the children of a stage are to do; missing if they were told nothing."""
        name = self.names.orders(stage)
        return Orders.decode(name, self._store.get(name))

    # Values, each given as what `codec.pickled` makes of it, which may change meanwhile.

    def write_constants(
        self, stage: StageId, values: Mapping[Key, Sequence[Bytes]]
    ) -> dict[Key, Place]:
        """Write large constants with the first stage that reads them."""
        return self._write(self.names.constants(stage), values)

    def write_scattered(
        self, number: int, values: Mapping[Key, Sequence[Bytes]]
    ) -> dict[Key, Place]:
        """Write values that a client scatters."""
        return self._write(self.names.scattered(number), values)

    def outbox(self, shard: ShardId, attempt: int, first: int = 0) -> Outbox:
        """Take the large values of an attempt, in objects that are numbered from `first` on."""
        kind = NearOutbox if self._store.is_near else FarOutbox
        return kind(self._store, map(partial(self.names.data, shard, attempt), count(first)))

    def read_value(self, place: Place) -> memoryview:
        """Read the bytes of a value."""
        return self._store.get_range(*place)

    def read_neighbors(self, places: Sequence[Place]) -> list[memoryview]:
        """Read the bytes of values that lie next to each other (`layout.neighbors`)."""
        first, last = places[0], places[-1]
        length = last.offset + last.length - first.offset
        whole = self._store.get_range(first.name, first.offset, length)
        return [whole[place.offset - first.offset :][: place.length] for place in places]

    # What jobs tell.

    def write_manifest(
        self, id: ManifestId, content: Manifest, inline: Sequence[Bytes]
    ) -> list[Output] | None:
        """Commit what a shard has done: its outputs where they are now; None if another one has.

        Outputs at a place without a name are inside, at offsets that count from the first of
        `inline`. One request, and another one if there is a manifest already: a store may answer
        a repeated request only, and then the first one has written this very manifest.
        """
        name = self.names.manifest(*id)
        frames = manifest.encode(content, inline)
        if not put_ours(self._store, name, frames):
            return None
        return manifest.placed(name, content.outputs, frames)

    def note_erred(self, shard: ShardId) -> None:
        """Note, before it is written, that the last manifest of a shard tells of errors."""
        self._store.put(self.names.erred(shard), [])

    def claim(self, shard: ShardId, claimant: Claimant) -> Claimant:
        """Claim what a shard has handed over, and tell who holds it: whoever was first."""
        if self._store.put_new(self.names.claim(shard), claimant.encode()):
            return claimant
        return self.read_claim(shard)

    def read_claim(self, shard: ShardId) -> Claimant:
        """Tell who has claimed what a shard has handed over; raises what `claim` does."""
        name = self.names.claim(shard)
        return Claimant.decode(name, self._store.get(name))

    def read_manifest(self, id: ManifestId) -> Commit:
        """Read a manifest."""
        name = self.names.manifest(*id)
        data = self._store.get(name)
        return Commit(name, manifest.decode(name, data), data)

    def doorbell(self) -> Doorbell | None:
        """Give what rings when a manifest has appeared, if the store and the system have that."""
        return doorbell_of(self.store_url, self.names.manifests)

    def list_manifests(self, stages: Sequence[StageId]) -> list[ManifestId]:
        """Name the manifests of some stages: each of a few, or all since the first of many."""
        if len(stages) > LISTED_APART:
            offset = self.names.before_plan(min(stages).plan)
            found = self._store.list(self.names.manifests, offset)
        else:
            found = [n for id in stages for n in self._store.list(self.names.of_stage(id))]
        return list(self.names.parse_manifests(found))

    def _write(self, name: str, values: Mapping[Any, Sequence[Bytes]]) -> dict[Any, Place]:
        return self._store.write(name, lambda writer: write_all(name, writer, values))
