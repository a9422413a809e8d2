"""The results of a named run: every key that a session was asked for, and what became of it.

The record names the keys, a listing of the run's objects tells which shards are done. Types and
sizes are in manifests, of which only those are read whose keys somebody looks at: a run may have a
million keys. What a shard has committed in parts is there as well, whatever becomes of the rest.
"""

from __future__ import annotations

import time
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice
from operator import index
from typing import NamedTuple

from dask.typing import Key

from dask_knot.batch.runjobs import listed_jobs
from dask_knot.run.manifest import Kind, Manifest, Output
from dask_knot.run.names import ShardId, StageId, session_of
from dask_knot.run.record import Entry, PlanRecord
from dask_knot.run.run import Run
from dask_knot.runs.commits import read_commits
from dask_knot.runs.presence import Observer
from dask_knot.runs.reading import MOST, RunView, read_run
from dask_knot.runs.state import PlanView, ShardCondition
from dask_knot.session.engines import Engine
from dask_knot.session.hooks import nobody

#: So many keys are looked at together when all are.
TOGETHER = 1000


class ResultState(Enum):
    """What became of a key."""

    STORED = "stored"
    FAILED = "failed"  # its task raised, or one before it
    RUNNING = "running"  # a job makes it, or will
    LOST = "lost"  # nobody makes it any more: asked for again, what isn't saved is made anew
    UNKNOWN = "unknown"  # it isn't there, and Batch couldn't be asked whether it will be


_STATES = {
    ShardCondition.DONE: ResultState.STORED,
    ShardCondition.ERRED: ResultState.FAILED,
    ShardCondition.RUNNING: ResultState.RUNNING,
    ShardCondition.LOST: ResultState.LOST,
    ShardCondition.LEFT: ResultState.LOST,
    ShardCondition.UNKNOWN: ResultState.UNKNOWN,
    ShardCondition.REPLACED: ResultState.LOST,
}


@dataclass(frozen=True, slots=True)
class Result:
    """A key that some session of a run was asked for.

    Attributes
    ----------
    key : Key
        ``cluster.future(key)`` gives its value.
    state : ResultState
        What became of it.
    type : str
        The name of the value's type, if it is stored and was not scattered.
    nbytes : int
        Bytes of the value in memory; of one that was scattered, in the store.
    age : float
        Seconds since it was made, or else since it was asked for.
    session : int
        The number of the session that asked for it.
    """

    key: Key
    state: ResultState
    type: str = ""
    nbytes: int = 0
    age: float = 0.0
    session: int = 0


class Results(Sequence[Result]):
    """The keys that a run was asked for, the newest first; what is read of each is read when seen.

    Parameters
    ----------
    view : RunView
        The run, with what is known of its jobs.
    prefix : str
        What the names of the keys begin with; empty: all.
    now : float
        Seconds since the epoch.
    """

    def __init__(self, view: RunView, prefix: str, now: float) -> None:
        self._run, self._survey = view.run, view.survey
        entries = self._entries = view.entries
        plans = view.progression().plans
        self._plans = {plan.record.number: _PlanSpots(plan) for plan in plans}
        self._now = now
        self._where = array("q")  # two numbers a key: the entry, and the key in it
        seen: set[Key] = set()
        for number in reversed(range(len(entries))):
            for position, key in _wanted(entries[number]):
                if key not in seen and _name(key).startswith(prefix):
                    seen.add(key)
                    self._where.extend((number, position))

    def __len__(self) -> int:
        return len(self._where) // 2

    def __getitem__(self, which):  # type: ignore[no-untyped-def]
        numbers = range(len(self))
        if isinstance(which, slice):
            return self._read(numbers[which])
        return self._read([numbers[index(which)]])[0]

    def __iter__(self) -> Iterator[Result]:
        left = iter(range(len(self)))
        while block := list(islice(left, TOGETHER)):
            yield from self._read(block)

    @property
    def keys(self) -> list[Key]:
        """All keys, the newest first; no manifest is read for that."""
        return [self._key(number) for number in range(len(self))]

    def _at(self, number: int) -> tuple[Entry, int]:
        return self._entries[self._where[2 * number]], self._where[2 * number + 1]

    def _key(self, number: int) -> Key:
        entry, position = self._at(number)
        keys = entry.keys if isinstance(entry, PlanRecord) else tuple(entry.places)
        key: Key = keys[position]
        return key

    def _read(self, numbers: Sequence[int]) -> list[Result]:
        """Read what there is about some keys: manifests of each shard that has one of them.

        Of shards that aren't done, `MOST` parts are read at most; if there are more, what the
        others tell is told as by the state of its shard.
        """
        spots = [self._spot(number) for number in numbers]
        there = list(dict.fromkeys(spot.shard for spot in spots if spot is not None))
        commits = read_commits(self._run, self._survey, there, MOST)
        outputs = dict(zip(there, map(_outputs, commits), strict=True))
        return [
            self._scattered(number)
            if spot is None
            else self._made(number, spot, outputs[spot.shard])
            for number, spot in zip(numbers, spots, strict=True)
        ]

    def _spot(self, number: int) -> _KeySpot | None:
        entry, position = self._at(number)
        return self._plans[entry.number].spot(position) if isinstance(entry, PlanRecord) else None

    def _scattered(self, number: int) -> Result:
        entry, position = self._at(number)
        assert not isinstance(entry, PlanRecord)
        key, place = list(entry.places.items())[position]
        age = self._now - entry.made
        return Result(key, ResultState.STORED, "", place.length, age, entry.session)

    def _made(
        self, number: int, spot: _KeySpot, outputs: Mapping[int, tuple[Output, str]]
    ) -> Result:
        age, session = self._now - self._at(number)[0].made, session_of(spot.shard.stage.plan)
        asked = Result(self._key(number), spot.state, "", 0, age, session)
        if spot.ordinal not in outputs:
            return asked
        output, type = outputs[spot.ordinal]
        age = self._now - output.stop
        if output.kind is Kind.ERRED:
            return replace(asked, state=ResultState.FAILED, age=age)
        return replace(asked, state=ResultState.STORED, type=type, nbytes=output.nbytes, age=age)


class _KeySpot(NamedTuple):
    """An output of a plan: its shard, which of the shard's outputs it is, and what became of it."""

    shard: ShardId
    ordinal: int
    state: ResultState


class _PlanSpots:
    """Where the outputs of a plan are made, by their numbers in it."""

    def __init__(self, view: PlanView) -> None:
        self._starts = view.record.starts()
        self._shards = [
            (ShardId(stage.id, index), condition)
            for stage in view.stages
            for index, condition in enumerate(stage.conditions)
        ]

    def spot(self, output: int) -> _KeySpot:
        """Tell where an output is made."""
        number = bisect_right(self._starts, output) - 1
        shard, condition = self._shards[number]
        return _KeySpot(shard, output - self._starts[number], _STATES[condition])


def read_results(run: Run, engine: Engine, prefix: str = "") -> Results:
    """Read which keys a named run was asked for; blocks.

    It takes a listing of the run's objects, and a read for each entry of its record.

    Parameters
    ----------
    run : Run
        The run.
    engine : Engine
        Knows the jobs, where they go on without their session.
    prefix : str
        What the names of the keys begin with; empty: all.

    Raises
    ------
    StoreError
        If something can't be read.
    AwsError
        If Batch can't be asked.
    """
    return Results(read_view(run, engine), prefix, time.time())


def read_view(run: Run, engine: Engine) -> RunView:
    """Read a named run, with what Batch says of its jobs; blocks, and raises as `read_results`."""
    view = read_run(run, run.record.read_info(), Observer(nobody), is_hasty=True)
    if engine.jobs_stay and not view.is_done:
        return replace(view, marks=replace(view.marks, jobs=_open_jobs(engine, run)))
    return view


def _open_jobs(engine: Engine, run: Run) -> dict[StageId, bool]:
    jobs = listed_jobs(engine.client, engine.template.queue, run.name)
    return {stage: not job.is_over for stage, job in jobs.items()}


def _wanted(entry: Entry) -> Iterable[tuple[int, Key]]:
    if isinstance(entry, PlanRecord):
        return ((number, entry.keys[number]) for number in entry.wanted)
    return enumerate(entry.places)


def _name(key: Key) -> str:
    """Give the text that a key begins with: of a tuple its first part, as Dask groups them."""
    return str(key[0]) if isinstance(key, tuple) and key else str(key)


def _outputs(manifests: Iterable[Manifest]) -> dict[int, tuple[Output, str]]:
    """Give the outputs that manifests name, by their numbers, with the name of each one's type."""
    found = {}
    for manifest in manifests:
        types = manifest.types
        for one in manifest.outputs:
            found[one.ordinal] = one, types[one.type][1] if one.type < len(types) else ""
    return found
