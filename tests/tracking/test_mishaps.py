"""Lost children, refused stages, lost values: who is made again, and who errs."""

from __future__ import annotations

import pytest
from dask.typing import Key

from dask_knot.errors import CorruptObjectError, InternalError, JobError, SubmissionError
from dask_knot.run.manifest import Kind, Manifest, Output, Place
from dask_knot.run.names import ShardId, StageId
from dask_knot.tracking import actions, events
from dask_knot.tracking.events import Ending
from dask_knot.tracking.moves import KeyState
from dask_knot.tracking.pace import Pace
from dask_knot.tracking.recovery import ATTEMPTS, KILLED_ALONE

from .hands import NAMES, Hands
from .memory import remembered


def chain(*keys: Key) -> Hands:
    """Plan keys of which each reads the one before, one plan each, all of them running."""
    hands = Hands(slots=10_000)
    for before, key in zip((None, *keys), keys, strict=False):
        reads = [] if before is None else [before]
        hands.submit({key: reads}, key, external=reads)
        hands.plan()
    return hands


def test_the_cause_of_a_mistake_stays_attached() -> None:
    hands = Hands(slots=1, shards_per_slot=1)
    hands.submit({"a": []}, "a")
    hands.plan()
    error = InternalError.of(LookupError("ours"))
    (told,) = hands.tell(events.SubmissionFailed(hands.shard_of("a").stage, error))
    assert isinstance(told, actions.FailKey)
    assert isinstance(told.failure, InternalError)
    assert told.failure.__cause__ is error.__cause__
    assert isinstance(told.failure.__cause__, LookupError)


def test_a_suspicious_shard_is_cut_finer_and_the_task_that_was_alone_is_to_blame() -> None:
    hands = Hands(slots=1, shards_per_slot=1)
    keys = [f"a-{n}" for n in range(20)]
    hands.submit({key: [] for key in keys}, *keys)
    hands.plan()
    hands.fail(hands.shard_of("a-0"), Ending.KILLED)
    assert hands.last(actions.MakePlan).request.limits.tasks_per_shard == 2
    hands.plan()
    pair = hands.shard_of("a-7")
    hands.fail(pair, Ending.KILLED)
    for key in keys:
        if hands.shard_of(key) != pair and hands.tracker.place_of(key) is None:
            hands.finish(hands.shard_of(key))
    hands.plan()
    mate = next(key for key in hands.shard(pair).outputs if key != "a-7")
    hands.finish(hands.shard_of(mate))
    (told,) = hands.fail(hands.shard_of("a-7"), Ending.KILLED)
    assert isinstance(told, actions.FailKey)
    assert isinstance(told.failure, JobError)
    assert "'a-7'" in str(told.failure)
    assert told.failure.job_id == "job"
    assert len(hands.all(actions.FinishKey)) == 19


def test_a_task_that_kills_is_not_run_again_for_what_reads_it() -> None:
    hands = Hands(slots=1, shards_per_slot=1)
    hands.submit({"a": [], "b": ["a"]}, "b")
    hands.plan()
    hands.fail(hands.shard_of("b"), Ending.KILLED)
    hands.plan()
    guilty, victim = hands.shard_of("a"), hands.shard_of("b")
    assert guilty != victim
    remembered(hands.tracker).keys[
        "a"
    ].attempts = KILLED_ALONE  # it was excused as often as it may be
    hands.fail(guilty, Ending.KILLED)
    hands.fail(victim, Ending.DEPENDENCY_FAILED)
    assert hands.last(actions.MakePlan).request.dependencies.keys() == {"b"}
    assert isinstance(hands.plan().inputs["a"], JobError)
    hands.finish(hands.shard_of("b"), erred=["b"])
    hands.forget("b")
    assert hands.is_clean()


def test_a_task_that_was_killed_alone_is_excused_twice() -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    for _ in range(KILLED_ALONE):
        hands.plan()
        assert not isinstance(hands.fail(hands.shard_of("a"), Ending.KILLED)[-1], actions.FailKey)
    hands.plan()
    (told,) = hands.fail(hands.shard_of("a"), Ending.KILLED)
    assert isinstance(told, actions.FailKey)


def test_failed_dependencies_never_blame_a_key_however_many() -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    for _ in range(50):
        hands.plan()
        hands.fail(hands.shard_of("a"), Ending.DEPENDENCY_FAILED)
    hands.plan()
    (told,) = hands.finish(hands.shard_of("a"))
    assert isinstance(told, actions.FinishKey)


@pytest.mark.parametrize("ending", [Ending.NOT_STARTED, Ending.TERMINATED, Ending.NOT_SET_UP])
def test_what_planning_again_cannot_mend_errs_at_once(ending: Ending) -> None:
    hands = Hands(slots=1, shards_per_slot=1)
    hands.submit({"a": [], "b": ["a"]}, "a", "b")
    hands.plan()
    told = hands.fail(hands.shard_of("a"), ending)
    assert {action.key for action in told if isinstance(action, actions.FailKey)} == {"a", "b"}
    assert hands.tracker.is_idle


def test_a_key_that_loses_every_machine_errs() -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    for _ in range(3):
        hands.plan()
        (again,) = hands.fail(hands.shard_of("a"), Ending.HOST_LOST)[-1:]
        assert not isinstance(again, actions.FailKey)
    hands.plan()
    (told,) = hands.fail(hands.shard_of("a"), Ending.HOST_LOST)
    assert isinstance(told, actions.FailKey)


def test_what_a_part_committed_is_kept_when_the_child_dies() -> None:
    hands = Hands(slots=1, shards_per_slot=1)
    hands.submit({"a": [], "b": ["a"]}, "a", "b")
    hands.plan()
    shard = hands.shard_of("a")
    name = NAMES.manifest(shard, 0)
    ordinal = hands.shard(shard).outputs.index("a")
    output = Output(ordinal, Kind.FINISHED, Place(name, 0, 1), 8, 0, 1.0, 2.0)
    hands.tell(events.ManifestFound(shard, name, Manifest(False, 1, [output], [(b"", "int")])))
    assert hands.last(actions.FinishKey).key == "a"
    hands.fail(shard, Ending.HOST_LOST)
    assert hands.last(actions.MakePlan).request.wanted == ["b"]


def test_a_failure_in_a_part_of_a_lost_shard_is_made_again_for_its_readers() -> None:
    hands = Hands(slots=1, shards_per_slot=1)
    hands.submit({"a": [], "b": []}, "a", "b")
    hands.plan()
    shard = hands.shard_of("a")
    name = NAMES.manifest(shard, 0)
    ordinal = hands.shard(shard).outputs.index("a")
    output = Output(ordinal, Kind.ERRED, Place(name, 0, 1), 8, 0, 1.0, 2.0)
    hands.tell(events.ManifestFound(shard, name, Manifest(False, 1, [output])))
    hands.fail(shard, Ending.HOST_LOST)
    hands.plan()
    hands.finish(hands.shard_of("b"))
    hands.submit({"c": ["a"]}, "c", external=["a"])
    # Shards read last manifests, and that shard never left one.
    assert hands.last(actions.MakePlan).request.dependencies.keys() == {"a", "c"}


def test_a_reader_of_a_failure_waits_for_the_last_manifest() -> None:
    hands = Hands(slots=1, shards_per_slot=1)
    hands.submit({"a": [], "b": []}, "a", "b")
    hands.plan()
    shard = hands.shard_of("a")
    name = NAMES.manifest(shard, 0)
    ordinal = hands.shard(shard).outputs.index("a")
    output = Output(ordinal, Kind.ERRED, Place(name, 0, 1), 8, 0, 1.0, 2.0)
    hands.tell(events.ManifestFound(shard, name, Manifest(False, 1, [output])))
    hands.submit({"c": ["a"]}, "c", external=["a"])
    assert hands.last(actions.MakePlan).request.external == {"a": shard.stage}


def test_a_plan_whose_input_is_lost_meanwhile_is_made_again() -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    hands.plan()
    hands.submit({"b": ["a"]}, "b", external=["a"])
    before = len(hands.all(actions.SubmitPlan))
    hands.fail(hands.shard_of("a"), Ending.HOST_LOST)
    hands.tell(events.PlanMade(1, hands.plans[0]))
    assert len(hands.all(actions.SubmitPlan)) == before
    assert hands.last(actions.MakePlan).request.dependencies.keys() == {"a", "b"}
    hands.plan()
    hands.finish(hands.shard_of("b"))
    assert {action.key for action in hands.all(actions.FinishKey)} == {"a", "b"}


def test_a_joining_shard_that_fails_plans_nothing() -> None:
    hands = Hands(upstream_arrays=2, slots=10_000)
    ends: list[Key] = []
    for n in range(5):
        hands.submit({f"a-{n}": []}, f"a-{n}")
        hands.plan()
        ends.append(f"a-{n}")
    hands.submit({"sum": ends}, "sum", external=ends)
    hands.plan()
    joining = [n for n, s in enumerate(hands.plans[5].stages) if not s.shards[0].tasks]
    assert joining
    remembered(hands.tracker).inflow.pace = Pace(quiet=100.0, longest=100.0)
    for n in joining:
        hands.fail(ShardId(StageId(5, n), 0), Ending.DEPENDENCY_FAILED)
    assert hands.tracker.due() is None
    assert not remembered(hands.tracker).drafts


def test_a_refused_stage_errs_its_keys() -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    hands.plan()
    error = SubmissionError("no")
    assert hands.tell(events.SubmissionFailed(StageId(0, 0), error)) == [
        actions.FailKey("a", 0, error)
    ]
    assert hands.tell(events.SubmissionFailed(StageId(8, 0), error)) == []
    hands.forget("a")
    assert hands.is_clean()


def test_a_lost_value_is_made_again_but_not_for_ever() -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    error = CorruptObjectError("damaged")
    for number in range(ATTEMPTS):
        hands.plan()
        (told,) = hands.finish(hands.shard_of("a"))[-1:]
        assert isinstance(told, actions.FinishKey)
        hands.tell(events.ValueLost("a", error), events.KeyReleased("a", False))
        assert hands.tell(events.KeyAsked("a", 6 + number)) == [hands.last(actions.MakePlan)]
    hands.plan()
    hands.finish(hands.shard_of("a"))
    hands.tell(events.ValueLost("a", error), events.KeyReleased("a", False))
    assert hands.tell(events.KeyAsked("a", 90)) == [actions.FailKey("a", 90, error)]
    hands.tell(events.KeyAsked("a", 91))  # a retry begins anew
    hands.plan()
    assert isinstance(hands.finish(hands.shard_of("a"))[-1], actions.FinishKey)
    hands.forget("a")
    assert hands.is_clean()


def test_a_scattered_value_that_is_lost_stays_lost() -> None:
    hands = Hands()
    hands.tell(events.ValuesScattered({"x": Place("run/scattered/0", 0, 9)}))
    error = CorruptObjectError("damaged")
    hands.tell(events.ValueLost("x", error), events.KeyReleased("x", False))
    hands.submit({"a": ["x"]}, "a", external=["x"])
    assert hands.plan().inputs["x"] is error


def test_a_retried_key_leaves_its_failure_to_those_that_still_read_it() -> None:
    hands = chain("a", "b")
    first = hands.shard_of("a")
    hands.finish(first, erred=["a"])
    gone = [
        n for action in hands.tell(events.KeyAsked("a", 5)) for n in getattr(action, "names", ())
    ]
    assert gone == []
    assert remembered(hands.tracker).keys["a"].state is KeyState.WAITING
    told, deleted = hands.finish(hands.shard_of("b"), erred=["b"])[:2]
    assert isinstance(told, actions.FailKey)
    assert isinstance(deleted, actions.DeleteObjects)
    assert NAMES.manifest(first) in deleted.names


def test_a_long_chain_of_running_stages_can_be_forgotten_at_once() -> None:
    keys: list[Key] = [f"a-{n}" for n in range(300)]
    hands = chain(*keys)
    hands.forget(*keys)
    assert len(hands.all(actions.TerminateStage)) == 300
    assert hands.is_clean()


def test_late_news_of_unknown_stages_is_harmless() -> None:
    hands = Hands()
    shard = ShardId(StageId(3, 0), 0)
    assert hands.fail(shard, Ending.KILLED) == []
    name = NAMES.manifest(shard)
    found = events.ManifestFound(shard, name, Manifest(True, 1, []))
    assert hands.tell(found) == [actions.DeleteObjects([name])]
