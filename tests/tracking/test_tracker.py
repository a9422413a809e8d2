"""The life of keys: asked, made, told, read by others, released, asked again."""

from __future__ import annotations

from dask.typing import Key

from dask_knot.errors import MissingObjectError
from dask_knot.run.manifest import Place
from dask_knot.run.names import StageId
from dask_knot.tracking import actions, events
from dask_knot.tracking.moves import KeyState

from .hands import NAMES, Hands, graph
from .memory import remembered


def test_a_key_is_finished_with_its_place_and_facts() -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    hands.plan()
    place = Place(NAMES.manifest(hands.shard_of("a")), 0, 1)
    assert hands.finish(hands.shard_of("a")) == [
        actions.FinishKey("a", 0, place, actions.Facts(8, b"pickled", "int", 1.0, 2.0))
    ]
    assert hands.tracker.place_of("a") == place
    assert hands.tracker.is_idle


def test_an_outcome_is_kept_until_dask_asks() -> None:
    hands = Hands()
    hands.tell(events.GraphSubmitted(graph({"a": []}, ["a"])))
    hands.plan()
    assert hands.finish(hands.shard_of("a")) == []
    for run_id in (7, 8):  # a value that is there is told as often as Dask asks
        (told,) = hands.tell(events.KeyAsked("a", run_id))
        assert isinstance(told, actions.FinishKey)
        assert told.run_id == run_id


def test_an_error_is_told_once_and_then_run_again() -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    hands.plan()
    (told,) = hands.finish(hands.shard_of("a"), erred=["a"])
    assert isinstance(told, actions.FailKey)
    first = hands.shard_of("a")
    assert [type(action) for action in hands.tell(events.KeyAsked("a", 8))] == [
        actions.DeleteObjects,
        actions.MakePlan,
    ]
    hands.plan()
    assert hands.shard_of("a") != first
    (finished,) = hands.finish(hands.shard_of("a"))
    assert isinstance(finished, actions.FinishKey)
    assert finished.run_id == 8


def test_an_unknown_key_is_refused() -> None:
    hands = Hands()
    (told,) = hands.tell(events.KeyAsked("a", 3))
    assert isinstance(told, actions.FailKey)
    assert isinstance(told.failure, MissingObjectError)


def test_a_forgotten_key_ends_its_job_and_its_late_manifest_answers_nobody() -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    hands.plan()
    old = hands.shard_of("a")
    ended, deleted = hands.forget("a")
    assert ended == actions.TerminateStage(old.stage)
    assert deleted == actions.DeleteObjects([NAMES.pack(old.stage)])
    assert hands.is_clean()
    hands.submit({"a": []}, "a")
    hands.plan()
    assert hands.finish(old) == [actions.DeleteObjects([NAMES.manifest(old)])]
    (told,) = hands.finish(hands.shard_of("a"))
    assert isinstance(told, actions.FinishKey)
    assert told.place.name == NAMES.manifest(hands.shard_of("a"))


def test_a_released_key_keeps_no_value_and_is_made_again_when_asked() -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    hands.plan()
    old = hands.shard_of("a")
    hands.finish(old)
    (deleted,) = hands.tell(events.KeyReleased("a", False))
    assert isinstance(deleted, actions.DeleteObjects)
    assert set(deleted.names) == {NAMES.manifest(old), NAMES.pack(old.stage)}
    assert hands.tracker.place_of("a") is None
    hands.tell(events.KeyAsked("a", 5))
    hands.plan()
    (told,) = hands.finish(hands.shard_of("a"))
    assert isinstance(told, actions.FinishKey)
    assert told.run_id == 5


def test_a_key_forgotten_while_it_is_planned_leaves_nothing() -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    hands.forget("a")
    hands.plan()
    assert isinstance(hands.done[-2], actions.TerminateStage)
    assert hands.is_clean()


def test_a_failed_plan_errs_what_was_not_released_meanwhile() -> None:
    hands = Hands()
    hands.submit({"a": [], "b": []}, "a", "b")
    hands.tell(events.KeyReleased("b", False))
    error = ValueError("no plan")
    assert hands.tell(events.PlanningFailed(0, error)) == [actions.FailKey("a", 0, error)]
    assert remembered(hands.tracker).keys["b"].state is KeyState.GONE


def test_a_value_stays_until_its_last_reader_is_done() -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    hands.plan()
    hands.finish(hands.shard_of("a"))
    hands.submit({"b": ["a"]}, "b", external=["a"])
    hands.plan()
    assert hands.forget("a") == []
    finished, deleted = sorted(hands.finish(hands.shard_of("b")), key=lambda a: type(a).__name__)[
        ::-1
    ]
    assert isinstance(finished, actions.FinishKey)
    assert isinstance(deleted, actions.DeleteObjects)
    assert NAMES.manifest(hands.shard_of("a")) in deleted.names


def test_a_graph_joins_a_stage_that_runs() -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    hands.plan()
    hands.submit({"b": ["a"]}, "b", external=["a"])
    running = hands.shard_of("a")
    assert hands.last(actions.MakePlan).request.external == {"a": running.stage}
    assert hands.plan().inputs == {"a": (running, 0)}


def test_a_value_that_a_plan_under_way_makes_is_not_made_twice() -> None:
    hands = Hands(slots=2, shards_per_slot=8)
    loads: dict[Key, list[Key]] = {("load", n): [] for n in range(40)}
    sums: dict[Key, list[Key]] = {("sum", n): list(loads) for n in range(40)}
    means: dict[Key, list[Key]] = {("mean", n): list(loads) for n in range(40)}
    hands.submit({**loads, **sums}, *sums)
    # The planner is at work, and nobody knows yet which values will leave their shards.
    hands.submit({**loads, **means}, *means)
    hands.plan()
    written = {key for key in loads if key in remembered(hands.tracker).keys}
    assert written
    assert not written & hands.last(actions.MakePlan).request.dependencies.keys()


def test_a_retry_begins_with_what_failed_first() -> None:
    hands = Hands()
    hands.submit({"a": [], "b": ["a"]}, "a", "b")
    hands.plan()
    hands.finish(hands.shard_of("b"), erred=["a", "b"])
    hands.tell(events.KeyReleased("b", False), events.KeyAsked("b", 9))
    assert hands.last(actions.MakePlan).request.dependencies.keys() == {"a", "b"}
    hands.plan()
    (told,) = hands.finish(hands.shard_of("b"))
    assert isinstance(told, actions.FinishKey)


def test_a_new_graph_reads_the_failure_of_a_key_that_the_client_holds() -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    hands.plan()
    hands.finish(hands.shard_of("a"), erred=["a"])
    hands.submit({"a": [], "b": ["a"]}, "b")
    assert hands.last(actions.MakePlan).request.dependencies.keys() == {"b"}
    assert hands.plan().inputs == {"a": (hands.shard_of("a"), 0)}


def test_a_key_that_was_forgotten_and_came_again_is_made_by_its_new_graph() -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    hands.plan()
    hands.submit({"b": ["a"]}, "b", external=["a"])
    hands.plan()
    hands.submit({"c": ["b"]}, "c", external=["b"])
    hands.plan()
    hands.forget("b", "a")
    hands.submit({"a": [], "b": ["a"]}, "b")
    assert remembered(hands.tracker).keys["b"].graph is hands.graphs[-1]


def test_a_key_that_dask_knows_keeps_its_graph() -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    hands.submit({"b": [], "a": ["b"]}, "a")
    assert remembered(hands.tracker).keys["a"].graph is hands.graphs[0]


def test_a_key_forgotten_while_its_graph_arrives_is_made_for_that_graph() -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    new = graph({"a": []}, ["a"])
    hands.tell(events.GraphSubmitted(new, is_held=True))
    assert hands.forget("a") == []
    hands.tell(events.GraphTaken(new, {"a"}))
    assert remembered(hands.tracker).keys["a"].graph is new
    hands.plan()
    hands.tell(events.KeyAsked("a", 5))
    (told,) = hands.finish(hands.shard_of("a"))
    assert isinstance(told, actions.FinishKey)
    assert told.run_id == 5


def test_a_retry_while_a_graph_arrives_counts_that_graph() -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    hands.plan()
    hands.finish(hands.shard_of("a"), erred=["a"])
    new = graph({"a": []}, ["a"])
    hands.tell(events.GraphSubmitted(new, is_held=True), events.KeyAsked("a", 5))
    hands.forget("a")
    hands.tell(events.GraphTaken(new, set()))
    hands.plan()
    assert hands.is_clean()


def test_scattered_values_are_read_where_they_are_and_can_come_twice() -> None:
    hands = Hands()
    first, second = Place("run/scattered/0", 0, 9), Place("run/scattered/1", 0, 9)
    hands.tell(events.ValuesScattered({"x": first}))
    hands.submit({"a": ["x"]}, "a", external=["x"])
    hands.plan()
    assert hands.tell(events.ValuesScattered({"x": second})) == []
    assert hands.last(actions.SubmitPlan).inputs == {"x": first}
    assert hands.tracker.place_of("x") == second
    assert actions.DeleteObjects([first.name]) in hands.finish(hands.shard_of("a"))
    assert hands.forget("x") == [actions.DeleteObjects([second.name])]


def test_what_reads_an_unknown_key_errs_alone() -> None:
    hands = Hands()
    hands.submit({"a": ["nobody"], "b": []}, "a", "b", external=["nobody"])
    inputs = hands.plan().inputs
    assert isinstance(inputs["nobody"], MissingObjectError)
    hands.forget("a", "b")
    assert hands.is_clean()


def test_a_scattered_value_that_is_gone_is_an_error_for_its_readers() -> None:
    hands = Hands()
    hands.tell(events.ValuesScattered({"x": Place("run/scattered/0", 0, 9)}))
    hands.tell(events.KeyReleased("x", False))
    hands.submit({"a": ["x"]}, "a", external=["x"])
    assert isinstance(hands.plan().inputs["x"], MissingObjectError)
    (told,) = hands.tell(events.KeyAsked("x", 4))
    assert isinstance(told, actions.FailKey)


def test_a_released_value_is_made_again_for_a_new_reader() -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    hands.plan()
    hands.finish(hands.shard_of("a"))
    hands.tell(events.KeyReleased("a", False))
    hands.submit({"b": ["a"]}, "b", external=["a"])
    assert hands.last(actions.MakePlan).request.dependencies.keys() == {"a", "b"}


def test_open_stages_and_shards() -> None:
    hands = Hands()
    hands.submit({"a-0": [], "a-1": []}, "a-0", "a-1")
    hands.plan()
    stage = StageId(0, 0)
    shards = sorted({hands.shard_of("a-0"), hands.shard_of("a-1")})
    assert hands.tracker.open_stages() == [stage]
    assert hands.tracker.open_shards([stage, StageId(9, 0)]) == shards
    for shard in shards:
        hands.finish(shard)
    assert hands.tracker.open_stages() == []
    assert hands.tracker.open_shards([stage]) == []


def test_resize_counts_for_the_next_plan() -> None:
    hands = Hands()
    hands.tracker.resize(77)
    hands.submit({"a": []}, "a")
    assert hands.last(actions.MakePlan).request.limits.slots == 77
