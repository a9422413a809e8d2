"""The store and the run of a simulated session: objects have sizes; few of them have bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dask.typing import Key

from benchmarks.simulate.laptop import Meter
from benchmarks.simulate.network import Traffic
from benchmarks.simulate.numbers import Numbers
from dask_knot.errors import MissingObjectError
from dask_knot.graphs.constants import LARGE
from dask_knot.run.codec import Bytes
from dask_knot.run.manifest import Commit, Manifest, Output
from dask_knot.run.names import ManifestId, ShardId, StageId
from dask_knot.run.orders import Orders
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.run.work import ShardWork

URL = "memory://"
#: Names that one request lists.
LISTED = 1000
#: Bytes of a manifest, of each output in it, and of each task that ran.
MANIFEST_BYTES, OUTPUT_BYTES, TASK_BYTES = 400, 45, 20


class SimulatedStore(Store):
    """Objects in memory; every request is counted, and takes its time if the client makes it."""

    def __init__(self, traffic: Traffic, meter: Meter) -> None:
        super().__init__(URL)
        self.counted = traffic
        self.meter = meter
        self._objects: dict[str, bytes] = {}

    def put(self, name: str, data: Iterable[Bytes]) -> None:
        """Write an object."""
        whole = b"".join(data)
        self._objects[name] = whole
        self.counted.put(len(whole))
        self.meter.upload(len(whole))

    def put_new(self, name: str, data: Iterable[Bytes]) -> bool:
        """Write an object unless one of that name is there."""
        if name in self._objects:
            self.counted.put(0)
            self.meter.upload(0)
            return False
        self.put(name, data)
        return True

    def get(self, name: str) -> memoryview:
        """Read an object."""
        found = self._objects.get(name)
        self.counted.get(0 if found is None else len(found))
        self.meter.download(0 if found is None else len(found))
        if found is None:
            raise MissingObjectError(f"there is no {name}")
        return memoryview(found)

    def sizes(self, prefix: str, offset: str | None = None) -> dict[str, int]:
        """Give the bytes of each object below a folder."""
        self.list_pages(0)
        return {n: len(data) for n, data in sorted(self._objects.items()) if n.startswith(prefix)}

    def delete(self, names: Iterable[str]) -> None:
        """Remove objects, a thousand with each request."""
        gone = list(names)
        for name in gone:
            self._objects.pop(name, None)
        requests = -(-len(gone) // LISTED)
        self.counted.requests["delete"] += requests
        self.meter.spend(requests * self.meter.numbers.client_latency)

    def at_once(self) -> SimulatedStore:
        """Give itself: it is never away."""
        return self

    def list_pages(self, names: int) -> None:
        """List so many names."""
        pages = names // LISTED + 1
        self.counted.requests["list"] += pages
        self.meter.spend(pages * self.meter.numbers.client_latency)


@dataclass(slots=True)
class Pack:
    """What the children of a stage are given: their work, and how many bytes each one reads."""

    works: Sequence[ShardWork]
    nbytes: list[float] = field(default_factory=list)


class SimulatedRun(Run):
    """A run whose tasks are never pickled, and whose manifests are objects of Python.

    Parameters
    ----------
    store : SimulatedStore
        Where all the rest is.
    name : str
        The run's name.
    nbytes : mapping of Key to int
        The bytes of values and constants.

    Attributes
    ----------
    packs : dict of StageId to Pack
        What was written for children.
    heed : callable
        Is told of a stage whose children were given orders.
    """

    def __init__(self, store: SimulatedStore, name: str, nbytes: Mapping[Key, int]) -> None:
        super().__init__(store, name)
        self.store = store
        self.packs: dict[StageId, Pack] = {}
        self.heed: Callable[[StageId], object] = lambda stage: None
        self._nbytes = nbytes
        self._manifests: dict[StageId, dict[ManifestId, tuple[Commit, int]]] = {}
        self._by_name: dict[str, ManifestId] = {}
        self._orders: dict[StageId, Orders] = {}
        self._outputs: dict[ShardId, dict[int, Output]] = {}
        self._constants: set[Key] = set()

    @property
    def numbers(self) -> Numbers:
        """What everything takes."""
        return self.store.meter.numbers

    def at_once(self) -> SimulatedRun:
        """Give itself: its store is never away."""
        return self

    def be_patient(self, *_: Any) -> None:
        """Need no patience."""

    # What a client tells jobs.

    def write_pack(
        self, stage: StageId, works: Iterable[ShardWork], plugins: str = "", bundle: str = ""
    ) -> str:
        """Keep the work of the shards of a stage, and upload what it would be."""
        pack = Pack(list(works))
        pack.nbytes = [self._packed(one) for one in pack.works]
        self.packs[stage] = pack
        tasks = sum(len(one.tasks) for one in pack.works)
        self.store.counted.put(sum(pack.nbytes))
        self.store.meter.upload(sum(pack.nbytes))
        self.store.meter.spend(tasks * (self.numbers.planning + self.numbers.packing))
        return self.url_of(stage)

    def tell_orders(self, stage: StageId, orders: Orders) -> None:
        """Tell the children of a stage what to do."""
        super().tell_orders(stage, orders)
        self._orders[stage] = orders
        self.heed(stage)

    def orders_for(self, stage: StageId) -> Orders:
        """Give what the children of a stage were told; asking isn't counted."""
        return self._orders.get(stage, _NO_ORDERS)

    # What jobs tell.

    def commit(self, id: ManifestId, content: Manifest, inline: float) -> bool:
        """Write a manifest with so many bytes of small values, unless it is there already."""
        stage = self._manifests.setdefault(id.shard.stage, {})
        if id in stage:
            return False
        name = self.names.manifest(*id)
        tasks = sum(work.tasks for work in content.work.values())
        size = MANIFEST_BYTES + OUTPUT_BYTES * len(content.outputs) + TASK_BYTES * tasks
        stage[id] = Commit(name, content, _NO_BYTES), int(size + inline)
        self._by_name[name] = id
        return True

    def read_manifest(self, id: ManifestId) -> Commit:
        """Read a manifest."""
        commit, size = self.manifest_of(id)
        self.store.counted.get(size)
        self.store.meter.download(size)
        return commit

    def manifest_of(self, id: ManifestId) -> tuple[Commit, int]:
        """Give a manifest and its bytes; asking isn't counted."""
        found = self._manifests.get(id.shard.stage, {}).get(id)
        if found is None:
            raise MissingObjectError(f"there is no manifest {id}")
        return found

    def outputs_of(self, shard: ShardId) -> Mapping[int, Output]:
        """Give the outputs in the last manifest of a shard, by ordinal; asking isn't counted."""
        if shard not in self._outputs:
            commit, _ = self.manifest_of(ManifestId(shard, None))
            self._outputs[shard] = {one.ordinal: one for one in commit.manifest.outputs}
        return self._outputs[shard]

    def list_manifests(self, stages: Sequence[StageId]) -> list[ManifestId]:
        """Name the manifests of some stages; as the names are in order, so are these."""
        found = [id for stage in sorted(stages) for id in self.manifests_of(stage)]
        self.store.list_pages(len(found))
        return found

    def manifests_of(self, stage: StageId) -> list[ManifestId]:
        """Name the manifests of a stage; asking isn't counted."""
        return sorted(self._manifests.get(stage, ()), key=_place)

    def delete(self, objects: Iterable[str]) -> None:
        """Delete objects."""
        names = list(objects)
        for name in names:
            id = self._by_name.pop(name, None)
            if id is not None:
                self._manifests[id.shard.stage].pop(id, None)
                self._outputs.pop(id.shard, None)
        self.store.delete(names)

    def _packed(self, work: ShardWork) -> float:
        """Estimate the bytes of a shard in its pack; large constants are written once, apart."""
        size = self.numbers.packed_task * (len(work.tasks) + len(work.inputs)) + 500.0
        for node in work.literals:
            nbytes = self._nbytes.get(node.key, 0)
            if nbytes < LARGE:
                size += nbytes
            elif node.key not in self._constants:
                self._constants.add(node.key)
                self.store.counted.put(nbytes)
                self.store.meter.upload(nbytes)
        return size


def _place(id: ManifestId) -> tuple[int, float]:
    return id.shard.index, float("inf") if id.part is None else id.part


_NO_ORDERS = Orders()
_NO_BYTES = memoryview(b"")
