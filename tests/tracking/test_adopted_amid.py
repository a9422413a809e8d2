"""What is adopted in the midst of something: while its shard ends, is lost, or is planned for."""

from __future__ import annotations

from dask.typing import Key

from dask_knot.planning import make_plan
from dask_knot.run.manifest import Kind, Manifest, Output, Place
from dask_knot.run.names import ShardId
from dask_knot.tracking import actions, events
from dask_knot.tracking.events import Ending

from .hands import NAMES
from .test_adoption import Holder, Log

#: Two tasks of one shard, of which a client may want the second one only.
CHAIN: dict[Key, list[Key]] = {"x": [], "y": ["x"]}


def chain_of(log: Log) -> ShardId:
    """Let a first session plan the chain, and want both of it."""
    first = Holder(log, 0)
    first.ask(CHAIN, *CHAIN)
    first.plan()
    assert first.shard_of("x") == first.shard_of("y")
    return first.shard_of("y")


def found(id: ShardId, x: Kind, y: Kind, *lost: str, is_old: bool = True) -> events.ManifestFound:
    name = NAMES.manifest(id)
    outputs = [Output(n, k, Place(name, n, 1), 8, 0, 1.0, 2.0) for n, k in enumerate((x, y))]
    starved = {1: lost} if lost else {}
    manifest = Manifest(True, 1, outputs, [(b"pickled", "int")], lost=starved)
    return events.ManifestFound(id, name, manifest, is_old=is_old)


def test_all_that_a_lost_shard_was_to_make_is_planned() -> None:
    log = Log()
    id = chain_of(log)
    second = Holder(log, 1)
    second.ask(CHAIN, "y")
    second.fail(id, Ending.LEFT)
    assert second.plan_all() == ["x", "y"]  # and `y` doesn't read an `x` that nobody makes
    second.finish(second.shard_of("y"))
    assert second.answers() == {"y": "done"}


def test_what_is_tried_again_reads_values_of_the_manifest_that_told_of_its_failure() -> None:
    log = Log()
    id = chain_of(log)
    second = Holder(log, 1)
    second.ask(CHAIN, "y")
    second.tell(found(id, Kind.FINISHED, Kind.ERRED))
    planned = second.plan()
    assert [key for s in planned.plan.stages for sh in s.shards for key in sh.tasks] == ["y"]
    assert isinstance(planned.inputs["x"], Place)
    second.finish(second.shard_of("y"))
    assert second.answers() == {"y": "done"}
    second.forget("y")
    assert second.is_clean()


def test_what_could_not_be_made_for_want_of_an_input_is_planned_and_not_found_once_more() -> None:
    log = Log()
    id = chain_of(log)
    second = Holder(log, 1)
    second.ask(CHAIN, "y")
    second.tell(found(id, Kind.FINISHED, Kind.ERRED, "run/gone", is_old=False))
    assert second.plan_all() == ["y"]
    assert second.answers() == {}


def test_a_draft_waits_for_the_job_of_what_was_adopted_after_it_began_to_read_it() -> None:
    log = Log()
    first, second = Holder(log, 0), Holder(log, 1)
    for holder in (first, second):
        holder.ask({"a": []}, "a")
    asked = second.last(actions.MakePlan)
    second.ask({"a": [], "new": ["a"]}, "new")
    first.plan()
    second.tell(events.EntriesFound(second.recorder.news()), events.PlanOutrun(asked.number))
    assert second.last(actions.MakePlan) is asked  # a job of another client's: Batch can't wait
    second.find(first.shard_of("a"))
    assert isinstance(second.plan().inputs["a"], Place)


def test_what_a_draft_makes_itself_is_not_adopted_for_it() -> None:
    log = Log()
    second = Holder(log, 1, longest=1000.0)
    second.ask({key: [] for key in "abcd"}, *"abcd")
    second.plan()
    second.ask({"x": [], "z": ["x"]}, "z")  # waits, as all slots are busy
    id = chain_of(log)
    second.tell(events.EntriesFound(second.recorder.news()))
    second.ask(CHAIN, "y")
    second.fail(id, Ending.LEFT)
    for key in "abcd":
        second.finish(second.shard_of(key))
    second.fail(id, Ending.LEFT)  # `x` was looked for there when the draft was due
    assert second.plan_all() == ["x", "y", "z"]
    for key in "yz":
        second.finish(second.shard_of(key))
    second.ask(CHAIN, "x")
    second.forget(*"abcd", *"yz")
    assert second.plan_all() == ["x"]
    second.finish(second.shard_of("x"))
    assert second.answers() == dict.fromkeys("abcdxyz", "done")
    second.forget("x")
    assert second.is_clean()


def test_what_waits_to_be_planned_is_adopted_when_others_tell_that_they_make_it() -> None:
    log = Log()
    first, second = Holder(log, 0), Holder(log, 1)
    first.ask({"a": [], "b": []}, "a", "b")
    second.ask({"a": []}, "a")
    asked = second.last(actions.MakePlan)
    second.ask({"b": [], "c": ["b"]}, "b", "c")  # waits for its turn
    first.plan()
    second.tell(events.EntriesFound(second.recorder.news()), events.PlanOutrun(asked.number))
    assert second.last(actions.MakePlan) is asked
    for key in "ab":
        second.find(first.shard_of(key), is_old=False)
    assert second.plan_all() == ["c"]


def test_a_plan_of_what_others_were_quicker_to_make_is_withdrawn() -> None:
    log = Log()
    first, second = Holder(log, 0), Holder(log, 1)
    for holder in (first, second):
        holder.ask({"a": []}, "a")
    asked = second.last(actions.MakePlan)
    first.plan()
    second.tell(events.EntriesFound(second.recorder.news()))  # by the way, not when it records
    second.tell(*second.record(asked, make_plan(asked.request)))
    assert second.all(actions.SubmitPlan) == []
    assert second.all(actions.WithdrawPlan) == [actions.WithdrawPlan(asked.number, 1)]
    assert second.last(actions.MakePlan) is asked
    second.find(first.shard_of("a"))
    assert second.answers() == {"a": "done"}


def test_what_two_drafts_need_is_taken_from_others_for_both() -> None:
    reads: dict[Key, list[Key]] = {"x": [], "y": ["x"]}
    log = Log()
    first, second = Holder(log, 0), Holder(log, 1)
    second.ask({**reads, "z": []}, "y", "z")
    asked = second.last(actions.MakePlan)
    second.ask(reads, "x")  # waits, while `x` is being planned for `y`
    first.ask({"x": [], "z": []}, "x", "z")
    first.plan()
    second.tell(*second.record(asked, make_plan(asked.request)))
    for key in "xz":
        second.find(first.shard_of(key), is_old=False)
    assert second.plan_all() == ["y"]
