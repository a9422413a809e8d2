"""Tasks on their way to the planner: which are missing, and when it is time to plan them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from dask.typing import Key

from dask_knot.errors import InternalError
from dask_knot.planning import PlanRequest
from dask_knot.run.names import StageId, plan_number
from dask_knot.tracking.actions import Admit, MakePlan
from dask_knot.tracking.adoption import hold_all, is_held, is_taken
from dask_knot.tracking.collisions import misread
from dask_knot.tracking.drafts import Draft
from dask_knot.tracking.events import Graph, Leaving, PlanOutrun
from dask_knot.tracking.gaps import Remake, prune, read, settle, take_missing
from dask_knot.tracking.memory import sized
from dask_knot.tracking.moves import KeyState
from dask_knot.tracking.plans import planned, refuse
from dask_knot.tracking.records import KeyRecord
from dask_knot.tracking.slots import free_slots
from dask_knot.tracking.state import TrackerState


def gather(state: TrackerState, records: Sequence[KeyRecord], now: float) -> None:
    """Put keys, and all tasks that are missing to make them, where the planner will take them."""
    mixed: set[Graph] = set()
    for draft, record in _join_drafts(state, records, now):
        assert record.graph is not None
        if record.key in draft.origin:
            continue
        if record.graph not in mixed and _take_whole(state, draft, record.graph):
            continue
        mixed.add(record.graph)
        take_missing(state, draft, record.graph, record.key)


def gather_retried(state: TrackerState, record: KeyRecord, now: float) -> None:
    """Put a key that is made again where the planner will take it, with what failed before it."""
    for draft, _ in _join_drafts(state, [record], now):
        assert record.graph is not None
        take_missing(state, draft, record.graph, record.key, Remake.ALL)


def gather_again(
    state: TrackerState,
    records: Sequence[KeyRecord],
    now: float,
    tasks_per_shard: int | None = None,
    is_handed: bool = False,
) -> None:
    """Put keys whose shard was lost where the planner will take them; failures stay as they are."""
    left = [r for r in records if not state.catalog.has(r.key, r.work)]
    # The others when they have left the shard that they were lost with.
    state.takers += [r for r in records if state.catalog.has(r.key, r.work)]
    for draft, record in _join_drafts(state, left, now, tasks_per_shard, is_handed):
        assert record.graph is not None
        take_missing(state, draft, record.graph, record.key, Remake.NONE)


def take_or_gather(state: TrackerState, now: float) -> None:
    """Take from the catalog what waits for that, or gather it if somebody else was quicker."""
    takers, state.takers = state.takers, []
    waiting = [r for r in takers if r.state is KeyState.WAITING and state.is_current(r)]
    if left := [record for record in waiting if not is_taken(state, record)]:
        gather(state, left, now)


def next_draft(state: TrackerState) -> Draft | None:
    """Give the draft that is planned next, if one can be."""
    return next((draft for draft in state.drafts if not is_held(state, draft)), None)


def due(state: TrackerState) -> float | None:
    """Tell when the next draft should be planned, on the clock of `now`; None if none waits."""
    draft = next_draft(state) if state.planning is None else None
    if draft is None:
        return None
    if state.is_leaving:
        return float("-inf")
    if draft.is_urgent and not state.is_busy:
        return draft.first
    longest = draft.first + state.inflow.longest
    if state.is_busy or state.inflow.arriving:
        return longest
    return min(longest, max(draft.last, state.inflow.last) + state.inflow.quiet)


def plan_if_due(state: TrackerState, now: float) -> None:
    """Ask for a plan of the first draft when it is time."""
    while (when := due(state)) is not None and when <= now:
        draft = next_draft(state)
        assert draft is not None
        state.drafts.remove(draft)
        try:
            _plan(state, draft)
        except Exception as error:  # a mistake of ours: nobody would ever plan it
            state.actions.append(Admit(error))
            refuse(state, draft, InternalError.of(error))


def plan_rest(state: TrackerState, event: PlanOutrun, now: float) -> None:
    """Plan what others don't make by now of what was to be recorded."""
    draft = planned(state, event.number)
    if draft is not None:
        prune(state, draft)
        draft.come_first()
        state.drafts.appendleft(draft)


def hurry(state: TrackerState, event: Leaving, now: float) -> None:
    """Plan at once all that can be: the client leaves."""
    state.is_leaving = True


def _plan(state: TrackerState, draft: Draft) -> None:
    if draft.looked < state.told:
        prune(state, draft)
    settle(state, draft)
    if hold_all(state, draft):
        state.drafts.appendleft(draft)
        return
    wanted = [r for r in draft.wanted if r.draft is draft and r.is_needed]
    if not wanted:
        state.let_go(draft.reads.values())
        return
    graphs = [*dict.fromkeys(draft.origin.values())]  # in their order
    draft.doubt(frozenset())
    draft.doubt(misread(draft, graphs))
    request = _request(state, draft, wanted)
    state.actions.append(MakePlan(state.plans, request, graphs, draft.misread))
    state.planning = (state.plans, draft)
    state.plans += 1


def _join_drafts(
    state: TrackerState,
    records: Sequence[KeyRecord],
    now: float,
    tasks_per_shard: int | None = None,
    is_handed: bool = False,
) -> list[tuple[Draft, KeyRecord]]:
    """Put keys into drafts; all of them, before any of them is looked at."""
    if not state.inflow.arriving:
        state.inflow.note(now)
    drafts: dict[float, Draft] = {}
    joined = []
    for record in records:
        assert record.graph is not None
        priority = record.graph.priority
        draft = drafts.get(priority)
        if draft is None:
            draft = drafts[priority] = _draft(state, now, tasks_per_shard, priority, is_handed)
            if not is_handed:
                draft.take_all_slots()
        draft.want(record, now)
        joined.append((draft, record))
    return joined


def _draft(
    state: TrackerState, now: float, tasks_per_shard: int | None, priority: float, is_handed: bool
) -> Draft:
    place = 0
    for number, draft in enumerate(state.drafts, start=1):
        if draft.tasks_per_shard == tasks_per_shard and draft.priority == priority:
            return draft
        # What has waited its time isn't overtaken: a stream of others would keep it for ever.
        is_overdue = draft.first + state.inflow.longest < now
        if draft.tasks_per_shard is not None or draft.priority >= priority or is_overdue:
            place = number
    urgent = state.inflow.is_new
    draft = Draft(now, now, urgent, tasks_per_shard, priority, is_handed)
    draft.note_look(state.told)
    state.drafts.insert(0 if tasks_per_shard is not None else place, draft)
    return draft


def _take_whole(state: TrackerState, draft: Draft, graph: Graph) -> bool:
    """Take a graph as it is if nothing of it is known: the common case, at the speed of dicts."""
    tasks = graph.tasks
    known = tasks.keys() & state.keys.keys()
    if any(state.keys[key].draft is not draft for key in known):
        return False
    if state.catalog.knows_any_of(graph.digests):
        return False
    draft.add_all(graph)
    for key in graph.external:
        read(state, draft, key)
    return True


def _request(state: TrackerState, draft: Draft, wanted: list[KeyRecord]) -> PlanRequest:
    most = draft.tasks_per_shard or state.limits.tasks_per_shard
    limits = replace(state.limits, tasks_per_shard=most)
    if draft.is_handed:
        # Whatever turns out to be long among it is handed over again.
        limits = replace(limits, slots=max(1, free_slots(state)), shards_per_slot=1)
    return PlanRequest(
        dependencies={key: draft.tasks[key].dependencies for key in _first(draft, draft.tasks)},
        wanted=[*_first(draft, [record.key for record in wanted])],
        is_ordered=_is_ordered(draft),
        literals=draft.literals,
        external={key: _maker(record) for key, record in draft.reads.items()},
        costs=state.durations.costs(),
        seconds=state.durations.corrected(draft.seconds()),
        nbytes=dict(state.durations.nbytes),
        external_nbytes=_sizes(draft),
        resources=sized(draft, state.default, state.memory, state.durations),
        default=state.default,
        limits=limits,
        plan=plan_number(state.plans),
    )


def _is_ordered(draft: Draft) -> bool:
    return any(graph.priorities for graph in {*draft.origin.values()})


def _sizes(draft: Draft) -> dict[Key, float]:
    """Name the bytes of the values that are there."""
    return {
        key: record.output.nbytes
        for key, record in draft.reads.items()
        if record.state is KeyState.STORED and record.output is not None
    }


def _first(draft: Draft, keys: Iterable[Key]) -> Iterable[Key]:
    """Put keys of a high priority first: in this order the planner, and so a shard, takes them."""
    if not _is_ordered(draft):
        return keys
    origin = draft.origin
    return sorted(keys, key=lambda key: -origin[key].priorities.get(key, 0))


def _maker(record: KeyRecord) -> StageId | None:
    """Name the running stage that makes a value, or None when the value is there.

    A failure, too, can be read only when the shard's last manifest is written.
    """
    shard = record.shard
    if record.state is KeyState.STORED or record.error is not None:
        return None
    return shard.id.stage if shard and shard.id and shard.is_open else None
