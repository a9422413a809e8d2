"""MapLedger: what became of the maps of a run, read from its record and its manifests."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from dask_knot.run.failure import Failure
from dask_knot.run.manifest import Kind, Output, Place
from dask_knot.run.maps import MapRecord, PlaceTable
from dask_knot.run.names import ShardId, StageId
from dask_knot.run.run import Run
from dask_knot.runs.commits import read_commits
from dask_knot.runs.presence import Observer
from dask_knot.runs.reading import MOST, READERS, RunView
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
        """Count the items of a map by what Batch calls their state.

        Of a shard that isn't done its parts tell: at most `MOST` of them, as this is for a look.
        """
        best: dict[int, tuple[int, int, int]] = {}
        for number, shard, ordinal in self._rows[record.name]:
            id, condition = self._shards[shard]
            rank = _RANKS.get(condition, 1)
            if rank == 3 and id in self.view.marks.handed:  # a later plan may have it
                rank = 1
            if number not in best or rank >= best[number][0]:
                best[number] = rank, shard, ordinal
        told: dict[int, dict[int, int]] = {}
        states: dict[int, str] = {}
        for number, (_, shard, ordinal) in best.items():
            condition = self._shards[shard][1]
            states[number] = _STATES.get(condition, "FAILED")
            if condition is not ShardCondition.DONE:
                told.setdefault(shard, {})[ordinal] = number
        for number, output in self._outputs(told, MOST):
            states[number] = "SUCCEEDED" if output.kind is Kind.FINISHED else "FAILED"
        counts = Counter(states.values())
        counts["SUCCEEDED"] += len(self.taken(record))
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
        wanted: dict[int, dict[int, int]] = {}
        for number, shard, ordinal in self._rows[record.name]:
            wanted.setdefault(shard, {})[ordinal] = number
        places, failures = dict(self.taken(record)), dict[int, Place]()
        for number, output in self._outputs(wanted):
            (places if output.kind is Kind.FINISHED else failures)[number] = output.place
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

    def _outputs(
        self, wanted: Mapping[int, Mapping[int, int]], most: int | None = None
    ) -> Iterator[tuple[int, Output]]:
        """Read which outputs shards have of items, whose numbers are given by ordinal."""
        shards = [self._shards[shard][0] for shard in wanted]
        commits = read_commits(self.run, self.view.survey, shards, most)
        for numbers, manifests in zip(wanted.values(), commits, strict=True):
            for output in (one for manifest in manifests for one in manifest.outputs):
                if output.ordinal in numbers:
                    yield numbers[output.ordinal], output


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
