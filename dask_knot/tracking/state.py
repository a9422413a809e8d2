"""All that the tracker knows, and the one way in which a value, a shard or a stage goes away."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dask.typing import Key

from dask_knot.planning import Limits, Resources
from dask_knot.run.names import Names, StageId
from dask_knot.tracking.actions import (
    Action,
    DeleteObjects,
    Facts,
    FailKey,
    FinishKey,
    TellChildren,
    TerminateStage,
)
from dask_knot.tracking.belongings import SetAside
from dask_knot.tracking.catalog import Catalog
from dask_knot.tracking.drafts import Draft
from dask_knot.tracking.durations import Durations
from dask_knot.tracking.inflow import Inflow
from dask_knot.tracking.memory import MemoryNeeds
from dask_knot.tracking.moves import KeyEvent, KeyState, ShardEvent, ShardState
from dask_knot.tracking.pace import Mending
from dask_knot.tracking.records import KeyRecord, ShardRecord
from dask_knot.tracking.recovery import ATTEMPTS
from dask_knot.tracking.stages import StageRecord
from dask_knot.tracking.tally import EarlierTally, Tally


@dataclass(slots=True, eq=False)
class TrackerState:
    """Records and what is to be done about them.

    Attributes
    ----------
    names : Names
        What the objects of the run are called.
    keys : dict of Key to KeyRecord
        Wanted keys, and values that go from shard to shard.
    stages : dict of StageId to StageRecord
        Stages that run, or whose objects are still needed.
    running : set of StageId
        Stages with shards that aren't done.
    drafts : deque of Draft
        What waits to be planned, in the order in which it will be.
    planning : (int, Draft), optional
        The plan that is being made; one at a time, so that the next one knows its stages.
    inflow : Inflow
        The graphs that arrive.
    tallies : dict of StageId to Tally
        Stages in numbers, those of the last while that are over included.
    since : int
        The first plan of the present activity.
    earlier : EarlierTally
        The stages since then that are not among the tallies any more.
    stored, moved : int; Counter
        Bytes of the values in the store; bytes that jobs have ``read`` and ``written``.
    catalog : Catalog
        What sessions of a named run have recorded.
    told, openings : int, int
        How many times others have told what they make, and how many shards were opened once more.
    unsettled : set of StageId
        Stages that were adopted, and for whose jobs others can't be known to be able to wait.
    keeps, is_leaving : bool, bool
        The run has a name: no object is deleted. What waits to be planned is due at once.
    mending, mended : Mending, float
        How running plans are mended, and when that was looked at last.
    seen_start : float, optional
        What the start of jobs took when that was seen last.
    takers : list of KeyRecord
        Keys for which there is something in the catalog, when all that happens now is taken in.
    """

    names: Names
    limits: Limits
    default: Resources
    inflow: Inflow
    keys: dict[Key, KeyRecord] = field(default_factory=dict)
    stages: dict[StageId, StageRecord] = field(default_factory=dict)
    running: set[StageId] = field(default_factory=set)
    drafts: deque[Draft] = field(default_factory=deque)
    planning: tuple[int, Draft] | None = None
    plans: int = 0
    open_shards: int = 0
    durations: Durations = field(default_factory=Durations)
    memory: MemoryNeeds = field(default_factory=MemoryNeeds)
    tallies: dict[StageId, Tally] = field(default_factory=dict)
    since: int = 0
    earlier: EarlierTally = field(default_factory=EarlierTally)
    stored: int = 0
    moved: Counter[str] = field(default_factory=Counter)
    catalog: Catalog = field(default_factory=Catalog)
    told: int = 0
    openings: int = 0
    keeps: bool = False
    unsettled: set[StageId] = field(default_factory=set)
    is_leaving: bool = False
    mending: Mending = field(default_factory=Mending)
    mended: float = float("-inf")
    seen_start: float | None = None
    takers: list[KeyRecord] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    _let_go: deque[KeyRecord] = field(default_factory=deque)
    _is_letting_go: bool = False

    def keep(self, shard: ShardRecord, size: int) -> None:
        """Note that a value of a shard is in the store."""
        shard.own.keep(size)
        self.stored += size

    @property
    def job_start(self) -> float:
        """What the start of a job takes while machines are there: no more than was seen last."""
        expected = self.limits.job_start_seconds
        return expected if self.seen_start is None else min(expected, self.seen_start)

    def note_start(self, seconds: float) -> None:
        """Note what the start of jobs that waited for no others has taken."""
        self.seen_start = seconds

    def note_mending(self, now: float) -> None:
        """Note that it was looked at what is to be mended."""
        self.mended = now

    @property
    def is_idle(self) -> bool:
        """Nothing runs and nothing waits to be planned."""
        return not (self.open_shards or self.drafts or self.planning)

    @property
    def is_busy(self) -> bool:
        """Every slot has a shard."""
        return self.open_shards >= self.limits.slots

    def draft_of(self, record: KeyRecord) -> Draft | None:
        """Find the draft in which a key waits."""
        return next((draft for draft in self.drafts if draft is record.draft), None)

    def answer(self, record: KeyRecord) -> None:
        """Tell Dask the outcome of a key, if there is one and Dask asked."""
        if record.asked is None:
            return
        if record.state is KeyState.STORED and record.output is not None:
            output = record.output
            facts = Facts(output.nbytes, *record.type, output.start, output.stop)
            self.actions.append(FinishKey(record.key, record.asked, output.place, facts))
        elif record.state is KeyState.ERRED:
            failure = record.error or (record.output and record.output.place)
            assert failure is not None
            self.actions.append(FailKey(record.key, record.asked, failure))
        else:
            return
        record.note_answer()

    def fail(self, record: KeyRecord, event: KeyEvent, error: Exception) -> None:
        """Put an error in the place of a key's value, because of what happened to it."""
        record.fail(event, error)
        self.answer(record)

    def lose(self, record: KeyRecord, error: Exception) -> None:
        """Note that what is stored of a key can't be read: it is made again when it is needed.

        Not what no task makes, nor what was lost too often: then the error stands for it. Shards
        that are to read the old value find out themselves.
        """
        if not self.is_current(record):
            return
        self.catalog.forget(record.key, record.shard.id if record.shard is not None else None)
        if record.graph is not None and record.attempts < ATTEMPTS:
            new = KeyRecord(record.key, record.graph, attempts=record.attempts + 1)
            self.replace(record, new)
            self.drop_if_unneeded(new)
        elif record.state is KeyState.STORED:
            self.fail(record, KeyEvent.VALUE_LOST, error)

    def drop_if_unneeded(self, record: KeyRecord) -> None:
        """Let a value go that neither Dask nor any shard needs."""
        if record.is_needed:
            return
        untold = record.state is KeyState.ERRED and record.is_known and not record.is_answered
        if record.state is not KeyState.GONE and not untold:
            self._set_aside(record)
            record.go()
            self.detach(record)
        if not record.is_known and self.is_current(record):
            del self.keys[record.key]

    def _set_aside(self, record: KeyRecord) -> None:
        """Remember a value of a shard that runs on: it may hand over tasks that read it."""
        shard, output = record.shard, record.output
        is_there = record.state is KeyState.STORED and output is not None
        if is_there and shard is not None and shard.is_open and not shard.rest.has_handed:
            assert output is not None
            shard.own.set_aside(record.key, SetAside(output, record.type))

    def is_current(self, record: KeyRecord) -> bool:
        """Tell whether nothing took the place of a record."""
        return self.keys.get(record.key) is record

    def replace(self, old: KeyRecord, new: KeyRecord) -> None:
        """Let a key begin anew; shards that read its old value, or failure, still find it."""
        new.take_place_of(old)
        self.keys[old.key] = new
        self.drop_if_unneeded(old)

    def detach(self, record: KeyRecord) -> None:
        """Take a key from the shard that makes it or made it."""
        shard = record.leave_shard()
        if shard is not None:
            if not shard.alive and shard.is_open:
                stage = self._stage_of(shard)
                if stage.disown():
                    self._disclaim(shard)
                    self.actions.append(TellChildren(stage.id))
                self._terminate_if_useless(stage)
            self._delete_if_useless(shard)

    def close(self, shard: ShardRecord, event: ShardEvent) -> None:
        """Note that a shard runs no longer, and let go of what it read."""
        shard.move(event)
        stage = self._stage_of(shard)
        stage.close(shard)
        if shard.rest.has_twin and stage.open:  # else nothing would be told that still runs
            self.actions.append(TellChildren(stage.id))
        if not stage.open:
            self.running.discard(stage.id)
            self.unsettled.discard(stage.id)
        self.open_shards -= 1
        self.let_go(shard.leave_inputs())
        shard.own.take_up()
        self._delete_if_useless(shard)
        if shard.state is not ShardState.DROPPED:
            self._terminate_if_useless(stage)

    def let_go(self, records: Iterable[KeyRecord]) -> None:
        """Count one reader less of each; a queue, since chains of stages outgrow the stack."""
        self._let_go.extend(records)
        if self._is_letting_go:
            return
        self._is_letting_go = True
        try:
            while self._let_go:
                record = self._let_go.popleft()
                record.count_readers(-1)
                self.drop_if_unneeded(record)
        finally:
            self._is_letting_go = False

    def _stage_of(self, shard: ShardRecord) -> StageRecord:
        """Find the stage of a shard: it is known as long as one of its shards has objects."""
        assert shard.id is not None
        return self.stages[shard.id.stage]

    def _delete_if_useless(self, shard: ShardRecord) -> None:
        if not (shard.alive or shard.own.are_gone or shard.is_open):
            self._delete(shard)

    def _terminate_if_useless(self, stage: StageRecord) -> None:
        """End a stage when none of its open shards makes anything that is needed."""
        if stage.needed or not stage.open:
            return
        self.actions.append(TerminateStage(stage.id))
        for shard in stage.shards:
            if shard.is_open:
                self._disclaim(shard)
                self.close(shard, ShardEvent.UNNEEDED)

    def forget_outputs(self, shard: ShardRecord) -> None:
        """Wait no more for what a shard was to make: when it is wanted again it is made anew."""
        for record in shard.outputs:
            self.catalog.forget(record.key, shard.id)

    def _disclaim(self, shard: ShardRecord) -> None:
        """Need nothing more of a shard, whose job ends.

        That of another session ends only if nobody else is there; who wants it again finds out.
        """
        if not shard.is_adopted:
            self.forget_outputs(shard)

    def _delete(self, shard: ShardRecord) -> None:
        names, stored = shard.own.go()
        self.stored -= stored
        if shard.id is not None:
            stage = self._stage_of(shard)
            names += stage.lose_objects()
            if not stage.kept:
                del self.stages[stage.id]
        self.delete(names)

    def delete(self, names: Sequence[str]) -> None:
        """Have objects deleted that hold nothing that is needed, unless the run keeps all."""
        if names and not self.keeps:
            self.actions.append(DeleteObjects(names))
