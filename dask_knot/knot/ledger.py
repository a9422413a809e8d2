"""MapLedger: what became of the maps of a run, read from its record and its manifests."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from dask_knot.errors import StoreError
from dask_knot.run.failure import Failure
from dask_knot.run.manifest import Kind, Manifest, Place
from dask_knot.run.maps import MapRecord, PlaceTable
from dask_knot.run.names import ManifestId, ShardId, StageId
from dask_knot.run.run import Run
from dask_knot.runs.presence import Observer
from dask_knot.runs.reading import READERS, RunView
from dask_knot.runs.state import PlanView, ShardCondition
from dask_knot.session.hooks import nobody
from dask_knot.session.values import ValueReader

#: Values that are read at once.
TOGETHER = 20_000
#: Which outcome of an item counts, if several plans were to make it: the best one.
_RANKS = {ShardCondition.DONE: 3, ShardCondition.ERRED: 3, ShardCondition.RUNNING: 2}
_STATES = {
    ShardCondition.DONE: "SUCCEEDED",
    ShardCondition.ERRED: "SUCCEEDED",  # but for the items of which its manifest says otherwise
    ShardCondition.RUNNING: "RUNNING",
}


class ViewSource(Protocol):
    """A session, as it is needed here."""

    run: Run

    def view(self) -> RunView:
        """Read the run as others see it."""


@dataclass(slots=True)
class ItemRows:
    """Where the items of a map are made: a row for each time that a plan was to make one.

    Attributes
    ----------
    numbers, shards, ordinals : array
        The numbers of items, of shards in the ledger, and of outputs in these.
    """

    numbers: array[int] = field(default_factory=lambda: array("q"))
    shards: array[int] = field(default_factory=lambda: array("q"))
    ordinals: array[int] = field(default_factory=lambda: array("q"))

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        return zip(self.numbers, self.shards, self.ordinals, strict=True)


@dataclass(frozen=True, slots=True)
class Found:
    """The outcomes of a map that are there, by the numbers of items."""

    places: Mapping[int, Place]
    failures: Mapping[int, Place]


class MapLedger:
    """The maps of a run at one moment.

    Parameters
    ----------
    source : ViewSource
        Reads the run.
    """

    def __init__(self, source: ViewSource) -> None:
        self.run = source.run.at_once()
        self._source = source
        with ThreadPoolExecutor(READERS, "dask-knot-maps") as pool:
            self.maps = self.run.record.maps.read_all(pool)

    @cached_property
    def view(self) -> RunView:
        """The run, as somebody sees it who has the store only."""
        return self._source.view()

    @cached_property
    def _held(self) -> Set[int]:
        """Name the sessions that are there: the view leaves it open where jobs tell enough."""
        return self.view.marks.alive or Observer(nobody)(self.run, self.view.sessions)

    @cached_property
    def _shards(self) -> list[tuple[ShardId, ShardCondition]]:
        return [
            (ShardId(stage.id, index), condition)
            for plan in self.plans
            for stage in plan.stages
            for index, condition in enumerate(stage.conditions)
        ]

    @cached_property
    def plans(self) -> Sequence[PlanView]:
        """The plans of its record, and what became of them."""
        return self.view.progression().plans

    @cached_property
    def _rows(self) -> dict[str, ItemRows]:
        """Find the items of all maps in the record, with one look at each of its keys."""
        rows = {record.name: ItemRows() for record in self.maps}
        base = 0
        for plan in self.plans:
            counts = [count for stage in plan.record.stages for count in stage.outputs]
            keys, wanted = plan.record.keys, set(plan.record.wanted)
            output = 0
            for shard, count in enumerate(counts, base):
                for ordinal in range(count):
                    key = keys[output] if output in wanted else None
                    output += 1
                    if isinstance(key, tuple) and len(key) == 2 and key[0] in rows:
                        found = rows[key[0]]
                        found.numbers.append(key[1])
                        found.shards.append(shard)
                        found.ordinals.append(ordinal)
            base += len(counts)
        return rows

    def counts(self, record: MapRecord) -> Counter[str]:
        """Count the items of a map by what Batch calls their state."""
        best: dict[int, tuple[int, ShardCondition]] = {}
        for number, shard, _ in self._rows[record.name]:
            id, condition = self._shards[shard]
            rank = _RANKS.get(condition, 1)
            if rank == 3 and id in self.view.marks.handed:  # a later plan may have it
                rank = 1
            if number not in best or rank >= best[number][0]:
                best[number] = rank, condition
        counts = Counter(_STATES.get(condition, "FAILED") for _, condition in best.values())
        counts["SUCCEEDED"] += len(self.taken(record))
        if any(condition is ShardCondition.ERRED for _, condition in best.values()):
            failed = len(self.find(record).failures)
            counts["SUCCEEDED"] -= failed
            counts["FAILED"] += failed
        return +counts

    def is_held(self, record: MapRecord) -> bool:
        """Tell whether the session of a map is there still."""
        return record.session in self._held

    def shards_of(self, record: MapRecord) -> dict[ShardId, ShardCondition]:
        """Name the shards that were to make a map, with what became of each."""
        return dict(self._shards[shard] for shard in dict.fromkeys(self._rows[record.name].shards))

    def job_ids(self, record: MapRecord) -> dict[StageId, str]:
        """Name the jobs of a map, by stage, as far as they were noted."""
        stages = dict.fromkeys(shard.stage for shard in self.shards_of(record))
        plans = {stage.plan: self.run.record.read_jobs(stage.plan) for stage in stages}
        found = {stage: plans[stage.plan].get(stage.stage, "") for stage in stages}
        return {stage: id for stage, id in found.items() if id}

    def taken(self, record: MapRecord) -> Mapping[int, Place]:
        """Tell where values of a map are that earlier sessions had made."""
        table: PlaceTable = self.run.record.maps.read_taken(record.number)
        return dict(table.items())

    def find(self, record: MapRecord) -> Found:
        """Find the outcomes of a map: a read for each of its manifests."""
        rows = self._rows[record.name]
        wanted: dict[int, list[tuple[int, int]]] = {}
        for number, shard, ordinal in rows:
            wanted.setdefault(shard, []).append((ordinal, number))
        places, failures = dict(self.taken(record)), dict[int, Place]()
        shards = [self._shards[shard][0] for shard in wanted]
        for items, manifests in zip(wanted.values(), self._manifests(shards), strict=True):
            numbers = dict(items)
            for output in (one for manifest in manifests for one in manifest.outputs):
                if output.ordinal in numbers:
                    is_value = output.kind is Kind.FINISHED
                    (places if is_value else failures)[numbers[output.ordinal]] = output.place
        return Found(places, {n: place for n, place in failures.items() if n not in places})

    def read(self, name: str, places: Mapping[int, Place]) -> dict[int, Any]:
        """Read values.

        Raises
        ------
        StoreError
            If some can't be read.
        """
        values: dict[int, Any] = {}
        with ThreadPoolExecutor(READERS, "dask-knot-maps") as pool:
            reader = ValueReader(self.run, pool)
            left = list(places)
            for start in range(0, len(left), TOGETHER):
                some = {(name, n): places[n] for n in left[start : start + TOGETHER]}
                values |= {key[1]: value for key, value in read_places(reader, some).items()}
        return values

    def read_failure(self, place: Place) -> BaseException:
        """Read the error of an item."""
        return Failure.decode(self.run.read_value(place)).readable().load()

    def _manifests(self, shards: Iterable[ShardId]) -> Iterator[list[Manifest]]:
        """Read the last manifest of each shard, or else its parts: they are committed as well."""
        parts: dict[ShardId, list[ManifestId]] = {}
        for id in self.view.survey.manifests:
            if id.part is not None and id.shard not in self.view.marks.done:
                parts.setdefault(id.shard, []).append(id)
        wanted = [
            [ManifestId(shard, None)] if shard in self.view.marks.done else parts.get(shard, [])
            for shard in shards
        ]
        with ThreadPoolExecutor(READERS, "dask-knot-maps") as pool:
            yield from pool.map(self._read_manifests, wanted)

    def _read_manifests(self, ids: Iterable[ManifestId]) -> list[Manifest]:
        found = []
        for id in ids:
            try:
                found.append(self.run.read_manifest(id).manifest)
            except StoreError:  # its items are missing, which is said
                continue
        return found


def read_places(reader: ValueReader, places: Mapping[Any, Place]) -> dict[Any, Any]:
    """Read and decode values.

    Raises
    ------
    StoreError
        If one can't be read.
    ClientMemoryError
        If they don't fit into memory.
    """
    values, lost = reader.load_values(places)
    for error in lost.values():
        raise error
    return values
