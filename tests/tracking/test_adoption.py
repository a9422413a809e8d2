"""Sessions of one run: what one has recorded, another doesn't plan; whatever becomes of it."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b

import pytest
from dask.typing import Key

from dask_knot.planning import Plan, make_plan
from dask_knot.run.archive import OneReader
from dask_knot.run.manifest import Handed, Kind, Manifest, Output, Place
from dask_knot.run.names import PLANS_PER_SESSION, ShardId, StageId
from dask_knot.run.record import Entry, ScatterRecord
from dask_knot.session.recorder import Recorder
from dask_knot.session.submission import planned_events
from dask_knot.tracking import actions, events
from dask_knot.tracking.events import Ending
from dask_knot.tracking.tracker import Held, Pace

from .hands import NAMES, Hands, graph

#: The run id of a question.
ASKED = 77


class Log:
    """A record that is a list."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.jobs: dict[int, dict[int, str]] = {}

    def append(self, entry: Entry, position: int) -> bool:
        assert position <= len(self.entries)
        if position == len(self.entries):
            self.entries.append(entry)
            return True
        return False

    def read_entries(self, start: int, readers: OneReader | None = None) -> list[Entry]:
        return self.entries[start:]

    def note_jobs(self, plan: int, jobs: dict[int, str]) -> None:
        self.jobs[plan] = jobs


def digested(reads: dict[Key, list[Key]], edited: Collection[Key] = ()) -> dict[Key, bytes]:
    """Make digests of the names of tasks, and of what they read."""
    digests: dict[Key, bytes] = {}
    for key, found in reads.items():
        parts = [key, *("!" if key in edited else ""), *(digests[r] for r in found)]
        digests[key] = blake2b(repr(parts).encode(), digest_size=16).digest()
    return digests


class Holder(Hands):
    """The hands of one session of a run."""

    def __init__(
        self, log: Log, session: int, *, reuses: bool = True, longest: float = 0.0
    ) -> None:
        held = Held(session * PLANS_PER_SESSION, reuses)
        super().__init__(Pace(0.0, longest), held, slots=4, shards_per_slot=1)
        self.recorder = Recorder(log, lambda: 0.0, session, reuses=reuses)
        self.tell(events.EntriesFound(self.recorder.news()))

    def record(self, asked: actions.MakePlan, plan: Plan) -> list[events.Event]:
        return planned_events(self.recorder, asked, plan)

    def ask(self, reads: dict[Key, list[Key]], *wanted: Key, edited: Collection[Key] = ()) -> None:
        """Submit a graph; the digest of a task is made of its name and what it reads."""
        self.submit(reads, *wanted, digests=digested(reads, edited))

    def graph_of(self, reads: dict[Key, list[Key]], *wanted: Key) -> events.Graph:
        """Make such a graph."""
        return graph(reads, wanted, digests=digested(reads))

    def plan_all(self) -> list[Key]:
        """Make all plans that are asked for, and name their tasks."""
        tasks: list[Key] = []
        while self.has_plan():
            stages = self.plan().plan.stages
            tasks += [key for s in stages for shard in s.shards for key in shard.tasks]
        return sorted(tasks, key=str)

    def has_plan(self) -> bool:
        """Whether anything is to be planned."""
        asked = self.all(actions.MakePlan)
        return bool(asked) and asked[-1].number not in self.plans

    def find(
        self, id: ShardId, outputs: int = 1, erred: bool = False, is_old: bool = True
    ) -> list[actions.Action]:
        """Find the manifest of a shard of any session."""
        name = NAMES.manifest(id)
        found = [Output(n, Kind(erred), Place(name, n, 1), 8, 0, 1.0, 2.0) for n in range(outputs)]
        manifest = Manifest(True, 1, found, [(b"pickled", "int")])
        return self.tell(events.ManifestFound(id, name, manifest, is_old=is_old))

    def answers(self) -> dict[Key, str]:
        """Name the keys that Dask was told of, and how they ended."""
        kinds = {actions.FinishKey: "done", actions.FailKey: "erred"}
        return {a.key: kinds[type(a)] for a in self.done if type(a) in kinds}


REDUCTION: dict[Key, list[Key]] = {"a": [], "b": [], "c": [], "d": [], "sum": ["a", "b", "c", "d"]}
TASKS: dict[Key, list[Key]] = {"a": [], "b": [], "c": []}


def test_what_is_stored_is_found_and_nothing_is_planned() -> None:
    log = Log()
    first = Holder(log, 0)
    first.ask(TASKS, *TASKS)
    first.plan()
    second = Holder(log, 1)
    second.ask(TASKS, *TASKS)
    assert not second.has_plan()
    adopted = second.all(actions.AdoptStage)
    assert adopted == [actions.AdoptStage(StageId(0, 0), len(first.plans[0].stages[0].shards))]
    for key in TASKS:
        second.find(first.shard_of(key))
    assert second.answers() == dict.fromkeys(TASKS, "done")
    assert second.tracker.open_stages() == []
    assert second.all(actions.DeleteObjects) == []


def test_only_what_is_missing_is_planned() -> None:
    log = Log()
    first = Holder(log, 0)
    first.ask(TASKS, *TASKS)
    first.plan()
    second = Holder(log, 1)
    second.ask({**TASKS, "new": ["a"]}, *TASKS, "new")
    second.tell(events.StageFound(StageId(0, 0), is_waitable=True))
    planned = second.plan()
    assert [key for s in planned.plan.stages for sh in s.shards for key in sh.tasks] == ["new"]
    assert planned.inputs["a"] == (first.shard_of("a"), 0)
    assert planned.number == PLANS_PER_SESSION


def test_a_draft_waits_until_the_job_of_what_it_reads_is_found() -> None:
    log = Log()
    first = Holder(log, 0)
    first.ask(TASKS, *TASKS)
    first.plan()
    second = Holder(log, 1)
    second.ask({"a": [], "new": ["a"]}, "new")
    assert not second.has_plan()  # a job of another client's: Batch can't wait for it
    second.tell(events.StageFound(StageId(0, 0), is_waitable=False))
    assert not second.has_plan()
    assert second.tracker.is_planned
    second.find(first.shard_of("a"))
    planned = second.plan()
    assert isinstance(planned.inputs["a"], Place)
    assert planned.plan.stages[0].depends_on == ()


def test_edited_work_is_planned_with_all_that_reads_it() -> None:
    log = Log()
    first = Holder(log, 0)
    first.ask(REDUCTION, *REDUCTION)
    first.plan()
    second = Holder(log, 1)
    second.ask(REDUCTION, *REDUCTION, edited=["b"])
    for key in "acd":
        second.find(first.shard_of(key), outputs=len(first.shard(first.shard_of(key)).outputs))
    assert second.plan_all() == ["b", "sum"]


def test_a_child_that_left_with_its_client_is_planned_again() -> None:
    log = Log()
    first = Holder(log, 0)
    first.ask(TASKS, *TASKS)
    first.plan()
    second = Holder(log, 1)
    second.ask(TASKS, *TASKS)
    second.find(first.shard_of("a"))
    for key in "bc":
        second.fail(first.shard_of(key), Ending.LEFT)
    assert second.plan_all() == ["b", "c"]
    second.finish(second.shard_of("b"))
    second.finish(second.shard_of("c"))
    assert second.answers() == dict.fromkeys(TASKS, "done")


def test_it_is_no_attempt_to_lose_what_left_however_often() -> None:
    log = Log()
    for session in range(20):
        holder = Holder(log, session)
        holder.ask(TASKS, *TASKS)
        while not holder.has_plan():  # of each session before it finds that it left
            for shard in holder.tracker.open_shards(holder.tracker.open_stages()):
                holder.fail(shard, Ending.LEFT)
        assert holder.plan_all() == ["a", "b", "c"]
        assert holder.answers() == {}


def test_errors_of_earlier_are_no_results() -> None:
    log = Log()
    first = Holder(log, 0)
    first.ask(TASKS, *TASKS)
    first.plan()
    second = Holder(log, 1)
    second.ask({"a": []}, "a")
    second.find(first.shard_of("a"), erred=True)
    assert second.answers() == {}
    second.plan()
    second.finish(second.shard_of("a"), erred=["a"])
    assert second.answers() == {"a": "erred"}


def test_what_errs_while_it_is_waited_for_is_everybodys_outcome() -> None:
    log = Log()
    first = Holder(log, 0)
    first.ask(TASKS, *TASKS)
    first.plan()
    second = Holder(log, 1)
    second.ask({"a": []}, "a")
    second.find(first.shard_of("a"), erred=True, is_old=False)
    assert second.answers() == {"a": "erred"}


def test_two_that_plan_the_same_at_the_same_time_make_it_once() -> None:
    log = Log()
    first, second = Holder(log, 0), Holder(log, 1)
    for holder in (first, second):
        holder.ask(REDUCTION, *REDUCTION)
    first.plan()
    asked = second.last(actions.MakePlan)
    second.tell(*second.record(asked, first.plans[0]))
    assert second.all(actions.SubmitPlan) == []
    assert not [a for a in second.all(actions.MakePlan) if a.number > asked.number]
    assert len(log.entries) == 1
    for id in first.tracker.open_shards(first.tracker.open_stages()):
        second.find(id, len(first.shard(id).outputs), is_old=False)
    assert second.answers() == dict.fromkeys(REDUCTION, "done")


def test_of_a_plan_that_others_make_in_part_the_rest_is_planned() -> None:
    log = Log()
    first, second = Holder(log, 0), Holder(log, 1)
    first.ask({"a": [], "b": []}, "a", "b")
    second.ask(REDUCTION, "sum", "c")
    first.plan()
    asked = second.last(actions.MakePlan)
    second.ask({"x": []}, "x")
    outrun = [events.EntriesFound(second.recorder.news()), events.PlanOutrun(asked.number)]
    second.tell(*outrun)
    assert not second.has_plan() or "x" in second.last(actions.MakePlan).request.dependencies
    second.tell(events.StageFound(StageId(0, 0), is_waitable=True))
    assert second.plan_all() == ["c", "d", "sum", "x"]


def test_keys_of_equal_work_are_apart_in_one_session_and_found_in_the_next() -> None:
    log = Log()
    first = Holder(log, 0)
    same = b"16 bytes of work"
    for key in ("one", "two"):
        first.submit({key: []}, key, digests={key: same})
        first.plan()
        first.finish(first.shard_of(key))
        first.forget(key)
    second = Holder(log, 1)
    for key in ("uno", "due"):
        second.submit({key: []}, key, digests={key: same})
        assert not second.has_plan()
    second.submit({"tre": []}, "tre", digests={"tre": same})
    assert second.has_plan()


def test_a_key_that_was_let_go_is_had_again_in_the_same_session() -> None:
    log = Log()
    first = Holder(log, 0)
    first.ask(TASKS, *TASKS)
    first.plan()
    for key in TASKS:
        first.finish(first.shard_of(key))
    first.forget(*TASKS)
    assert first.is_clean()
    first.ask(TASKS, *TASKS)
    assert not first.has_plan()
    for key in TASKS:
        first.find(first.shard_of(key))
    first.forget(*TASKS)
    assert first.is_clean()


def test_a_shard_that_ended_is_looked_at_again_beside_others_that_run() -> None:
    log = Log()
    first = Holder(log, 0)
    first.ask(TASKS, *TASKS)
    first.plan()
    first.finish(first.shard_of("a"))
    first.forget("a")
    first.ask({"a": []}, "a")
    assert not first.has_plan()
    first.find(first.shard_of("a"))
    assert first.answers() == {"a": "done"}
    first.finish(first.shard_of("b"))
    first.finish(first.shard_of("c"))
    first.forget(*TASKS)
    assert first.is_clean()


def test_without_reuse_all_is_planned_and_recorded() -> None:
    log = Log()
    first = Holder(log, 0)
    first.ask(TASKS, *TASKS)
    first.plan()
    second = Holder(log, 1, reuses=False)
    second.ask(TASKS, *TASKS)
    second.plan()
    assert len(log.entries) == 2


def test_who_leaves_lets_what_is_being_made_be_made() -> None:
    holder = Holder(Log(), 0)
    holder.ask(TASKS, *TASKS)
    holder.plan()
    holder.finish(holder.shard_of("a"))
    holder.tell(*(events.KeyReleased(key, True, is_left=True) for key in TASKS))
    assert holder.all(actions.TerminateStage) == []
    assert holder.tracker.open_stages() == [StageId(0, 0)]
    holder.finish(holder.shard_of("b"))
    holder.fail(holder.shard_of("c"), Ending.HOST_LOST)
    holder.plan()
    holder.finish(holder.shard_of("c"))
    assert holder.is_clean()


def test_what_is_let_go_while_it_is_made_is_ended() -> None:
    holder = Holder(Log(), 0)
    holder.ask(TASKS, *TASKS)
    holder.plan()
    holder.forget(*TASKS)
    assert holder.all(actions.TerminateStage) == [actions.TerminateStage(StageId(0, 0))]
    holder.ask({"a": []}, "a")
    assert holder.has_plan()  # it isn't waited for


def test_keys_are_recalled_by_name() -> None:
    log = Log()
    first = Holder(log, 0)
    first.ask(REDUCTION, "sum")
    first.plan()
    second = Holder(log, 1)
    assert second.tracker.knows("sum")
    assert not second.tracker.knows("a")
    second.tell(events.KeyRecalled("sum", ASKED), events.KeyRecalled("unknown", ASKED))
    second.find(first.shard_of("sum"))
    done = second.last(actions.FinishKey)
    assert (done.key, done.run_id) == ("sum", ASKED)
    second.tell(events.KeyRecalled("sum", ASKED))
    assert len(second.all(actions.FinishKey)) == 2


def test_a_recalled_key_that_is_lost_errs_since_nobody_has_its_task() -> None:
    log = Log()
    first = Holder(log, 0)
    first.ask(TASKS, *TASKS)
    first.plan()
    second = Holder(log, 1)
    second.tell(events.KeyRecalled("a", ASKED))
    second.fail(first.shard_of("a"), Ending.LEFT)
    assert second.answers() == {"a": "erred"}
    second.ask({"a": []}, "a")  # now somebody has
    assert second.has_plan()


def test_what_was_handed_over_reads_what_the_same_shard_has_made() -> None:
    log = Log()
    first, reads = Holder(log, 0), dict[Key, list[Key]]({"a": [], "b": ["a"], "c": []})
    first.ask(reads, "a", "b")
    first.plan()
    shard = first.shard_of("b")
    a, b = map(first.shard(shard).outputs.index, "ab")
    second = Holder(log, 1)
    second.ask(reads, "b")  # and not what it reads
    place = Place(NAMES.manifest(shard), 0, 1)
    made = [Output(a, Kind.FINISHED, place, 8, 0, 1.0, 2.0)]
    last = Manifest(True, 1, made, [(b"pickled", "int")], handed=Handed([b], {"b": 1}))
    second.tell(events.ManifestFound(shard, place.name, last, is_old=True))
    assert second.last(actions.MakePlan).request.external == {"a": None}
    assert second.plan().inputs == {"a": place}


@pytest.mark.parametrize("is_known", [True, False])
def test_a_recalled_key_that_was_handed_over_is_taken_where_it_is_made_by_now(
    is_known: bool,
) -> None:
    log = Log()
    first, second = Holder(log, 0), Holder(log, 1)
    first.ask(TASKS, *TASKS)
    first.plan()
    shard = first.shard_of("a")
    second.tell(events.EntriesFound(second.recorder.news()))
    second.tell(events.KeyRecalled("a", ASKED))
    handed = Handed([0], {"a": 1})

    def tell(told: Holder, part: int | None) -> None:
        name = NAMES.manifest(shard, part)
        manifest = Manifest(part is None, 1, [], [], handed=handed)
        told.tell(events.ManifestFound(shard, name, manifest))

    tell(first, 0)
    first.plan()
    tell(second, 0)
    assert second.answers() == {}
    if is_known:
        second.tell(events.EntriesFound(second.recorder.news()))
    tell(second, None)
    if is_known:
        assert second.answers() == {}
        second.find(first.shard_of("a"))
    assert second.answers() == {"a": "done" if is_known else "erred"}
    if not is_known:
        assert "has handed it over" in str(second.last(actions.FailKey).failure)


def test_a_recalled_failure_is_told() -> None:
    log = Log()
    first = Holder(log, 0)
    first.ask(TASKS, *TASKS)
    first.plan()
    second = Holder(log, 1)
    second.tell(events.KeyRecalled("a", ASKED))
    second.find(first.shard_of("a"), erred=True)
    assert second.answers() == {"a": "erred"}


def test_scattered_values_are_recalled() -> None:
    log = Log()
    place = Place(NAMES.scattered(0), 0, 9)
    log.append(ScatterRecord(0, 0.0, {"s": place}), 0)
    holder = Holder(log, 1)
    holder.tell(events.KeyRecalled("s", ASKED))
    assert holder.last(actions.FinishKey).place == place


def test_a_plan_that_comes_too_late_is_withdrawn() -> None:
    log = Log()
    holder = Holder(log, 0)
    holder.ask({"a": []}, "a")
    holder.plan()
    holder.finish(holder.shard_of("a"))
    holder.ask({"a": [], "b": ["a"]}, "b")
    asked = holder.last(actions.MakePlan)
    recorded = holder.record(asked, make_plan(asked.request))
    holder.done += holder.tracker.give_up(OSError("a mistake of ours"))
    holder.tell(*recorded)
    assert holder.all(actions.WithdrawPlan) == [actions.WithdrawPlan(asked.number, 1)]


def test_leaving_plans_at_once_what_would_wait() -> None:
    holder = Holder(Log(), 0, longest=1000.0)
    holder.ask({key: [] for key in "abcdefgh"}, *"abcdefgh")
    holder.plan()
    holder.ask({"z": []}, "z")
    assert not holder.has_plan()  # all slots are busy: there is no hurry
    holder.tell(events.Leaving())
    assert holder.has_plan()
    assert not holder.tracker.is_planned
    holder.plan()
    assert holder.tracker.is_planned


def test_what_would_wait_for_jobs_of_others_is_foreseen() -> None:
    log = Log()
    first = Holder(log, 0)
    first.ask(TASKS, *TASKS)
    first.plan()
    second = Holder(log, 1)
    graph = second.graph_of({"a": [], "new": ["a"]}, "new")
    foreseen = second.tracker.foresee(graph).request
    assert foreseen is not None
    assert [*foreseen.dependencies] == ["new"]
    second.tell(events.GraphSubmitted(graph))
    assert not second.has_plan()


def test_what_others_make_is_waited_for_again_when_it_was_let_go() -> None:
    log = Log()
    first = Holder(log, 0)
    first.ask(TASKS, *TASKS)
    first.plan()
    second = Holder(log, 1)
    second.ask(TASKS, *TASKS)
    second.forget("a")
    second.ask({"a": []}, "a")
    second.forget(*TASKS)
    second.ask(TASKS, *TASKS)
    assert not second.has_plan()
    for key in TASKS:
        second.find(first.shard_of(key))
    assert second.answers() == dict.fromkeys(TASKS, "done")
