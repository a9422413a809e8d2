"""Reads a run from its store: its record, who holds it, and how far it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from dask_knot.errors import CorruptObjectError, MissingObjectError, StoreError
from dask_knot.run.names import ManifestId, ShardId, StageId
from dask_knot.run.orders import Claimant
from dask_knot.run.presence import RunInfo, SessionInfo
from dask_knot.run.record import Entry, PlanRecord
from dask_knot.run.run import Run
from dask_knot.run.survey import Survey
from dask_knot.runs.progression import progression
from dask_knot.runs.state import Marks, Progression

#: Objects that are read at once.
READERS = 16
#: Manifests that are read at most for a look at what isn't done: a long run has a hundred thousand.
MOST = 2000

#: Tells which sessions of a run are there, by their numbers.
Observe = Callable[[Run, Mapping[int, SessionInfo | None]], Set[int]]


@dataclass(frozen=True, slots=True)
class RunView:
    """A run, as somebody sees it who has the store only.

    Attributes
    ----------
    run : Run
        Its objects.
    info : RunInfo
        What it says of itself.
    sessions : mapping of int to SessionInfo or None
        Who has opened it, the first one first; None if that can't be read.
    entries : sequence of Entry
        The record.
    survey : Survey
        Its objects.
    marks : Marks
        What is known of its shards; of jobs only what `with_jobs` adds.
    ids : mapping of StageId to str
        The ids of jobs, as far as they were noted.
    """

    run: Run
    info: RunInfo
    sessions: Mapping[int, SessionInfo | None]
    entries: Sequence[Entry]
    survey: Survey
    marks: Marks
    ids: Mapping[StageId, str] = field(default_factory=dict)

    @property
    def plans(self) -> list[PlanRecord]:
        """The plans of the record, in its order."""
        return [entry for entry in self.entries if isinstance(entry, PlanRecord)]

    @property
    def is_done(self) -> bool:
        """True if every shard of every plan has a last manifest."""
        planned = sum(len(stage.outputs) for plan in self.plans for stage in plan.stages)
        return len(self.marks.done) >= planned

    @property
    def who(self) -> str:
        """User and host of the last session that can be read."""
        known = [info for info in self.sessions.values() if info is not None]
        return f"{known[-1].user}@{known[-1].host}" if known else self.info.by

    def progression(self) -> Progression:
        """Tell how far it is."""
        return progression(self.plans, self.marks)


def read_holders(run: Run, info: RunInfo, observe: Observe) -> RunView:
    """Read who has a run open, and nothing of its record, which may be damaged.

    Raises
    ------
    StoreError
        If the store can't be read.
    """
    view = _listed(run, info)
    return replace(view, marks=replace(view.marks, alive=observe(run, view.sessions)))


def read_run(run: Run, info: RunInfo, observe: Observe, is_hasty: bool = False) -> RunView:
    """Read a run: a listing of all, and a read for each entry of its record and each session.

    Parameters
    ----------
    run : Run
        The run.
    info : RunInfo
        What it says of itself.
    observe : callable
        Tells which sessions are there.
    is_hasty : bool
        Don't ask that where it changes nothing: of a run that is done, or whose jobs tell it.

    Raises
    ------
    StoreError
        If something can't be read, or isn't what was written.
    """
    with ThreadPoolExecutor(READERS, "dask-knot-reading") as pool:
        view = replace(_listed(run, info), entries=run.record.read_entries(0, pool))
        view = _with_ids(view, pool, is_hasty)
    if is_hasty and (view.is_done or not view.marks.are_bound):
        return view
    return replace(view, marks=replace(view.marks, alive=observe(run, view.sessions)))


def _listed(run: Run, info: RunInfo) -> RunView:
    found = run.survey()
    with ThreadPoolExecutor(READERS, "dask-knot-reading") as pool:
        sessions = dict(
            zip(found.sessions, pool.map(partial(_session, run), found.sessions), strict=True)
        )
        handed = dict(pool.map(partial(_handed, run), _claimed(found)))
    is_bound = info.engine != "aws"
    marks = Marks(found.done, found.erred, found.lost, are_bound=is_bound, handed=handed)
    return RunView(run, info, sessions, (), found, marks)


def _with_ids(view: RunView, pool: ThreadPoolExecutor, is_hasty: bool) -> RunView:
    """Add the ids of jobs; if it is hasty, of plans only that aren't done."""
    done = Counter(shard.stage.plan for shard in view.marks.done)
    plans = [
        plan.number
        for plan in view.plans
        if not is_hasty or done[plan.number] < sum(len(stage.outputs) for stage in plan.stages)
    ]
    found = zip(plans, pool.map(partial(_jobs, view.run), plans), strict=True)
    ids = {StageId(plan, stage): id for plan, jobs in found for stage, id in jobs.items()}
    withdrawn = frozenset(stage for stage, id in ids.items() if not id)
    return replace(view, ids=ids, marks=replace(view.marks, withdrawn=withdrawn))


def _jobs(run: Run, plan: int) -> Mapping[int, str]:
    try:
        return run.record.read_jobs(plan)
    except CorruptObjectError:  # Batch lists them, too
        return {}


def _claimed(found: Survey) -> list[list[ManifestId]]:
    """List the manifests that may tell what shards have handed over: the last one, or all parts.

    The newest parts come first: little is done after it.
    """
    by_shard: dict[ShardId, list[ManifestId]] = {shard: [] for shard in sorted(found.claimed)}
    done = found.done
    for id in sorted(found.manifests, key=lambda id: id.part or 0, reverse=True):
        is_telling = id.part is None or id.shard not in done
        if id.shard in by_shard and is_telling and not id.is_lost:
            by_shard[id.shard].append(id)
    return [ids for ids in by_shard.values() if ids]


def _handed(run: Run, ids: Sequence[ManifestId]) -> tuple[ShardId, Mapping[str, int]]:
    """Count the tasks that a shard has handed over, by prefix; not those that it took back."""
    shard = ids[0].shard
    try:
        # Of a shard that is done, its last manifest tells what a client has claimed.
        if ids[0].part is not None and run.read_claim(shard) is not Claimant.CLIENT:
            return shard, {}
        parts = (run.read_manifest(id).manifest.handed for id in ids)
        handed = next((one for one in parts if one is not None), None)
    except (MissingObjectError, CorruptObjectError):
        return shard, {}
    return shard, {} if handed is None else handed.tasks


def _session(run: Run, number: int) -> SessionInfo | None:
    try:
        return run.record.read_session(number)
    except StoreError:  # it claimed its number with an older version, or was cut off
        return None
