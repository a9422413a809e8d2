"""What a shard could not read is made again, and then what should have read it; within limits."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from dask.typing import Key

from dask_knot.errors import CorruptObjectError, InternalError, MissingObjectError
from dask_knot.run.manifest import Kind, Manifest, Output, Place
from dask_knot.run.names import ShardId, StageId
from dask_knot.tracking import actions, events
from dask_knot.tracking.events import Ending
from dask_knot.tracking.moves import KeyState
from dask_knot.tracking.recovery import ATTEMPTS

from .hands import NAMES, Hands
from .memory import remembered
from .test_mishaps import chain


def starve(
    hands: Hands, id: ShardId, lost: Collection[str], part: int | None = None
) -> list[actions.Action]:
    """Let a shard end without its outputs, as some objects could not be read."""
    name = NAMES.manifest(id, part)
    count = len(hands.shard(id).outputs)
    outputs = [Output(n, Kind.ERRED, Place(name, n, 1), 0, 0, 1.0, 2.0) for n in range(count)]
    found = Manifest(part is None, 1, outputs, lost={n: tuple(lost) for n in range(count)})
    return hands.tell(events.ManifestFound(id, name, found))


def place_of(hands: Hands, key: Key) -> Place:
    place = hands.tracker.place_of(key)
    assert place is not None
    return place


def finished(hands: Hands) -> list[Key]:
    return [action.key for action in hands.all(actions.FinishKey)]


@pytest.mark.parametrize("part", [None, 0])
def test_a_value_that_a_shard_found_lost_is_made_again_with_its_reader(part: int | None) -> None:
    hands = chain("a", "b")
    hands.finish(hands.shard_of("a"))
    told = starve(hands, hands.shard_of("b"), [place_of(hands, "a").name], part)
    assert hands.last(actions.MakePlan).request.dependencies.keys() == {"a", "b"}
    assert not any(isinstance(action, actions.FailKey) for action in told)
    hands.plan()
    for key in ("a", "b"):
        if hands.tracker.place_of(key) is None:
            hands.finish(hands.shard_of(key))
    assert finished(hands) == ["a", "b"]  # the client holds a, and wasn't told that it was lost
    assert place_of(hands, "a").name != NAMES.manifest(ShardId(StageId(0, 0), 0))
    hands.forget("a", "b")
    assert hands.is_clean()


def test_a_value_that_stands_elsewhere_is_not_made_again() -> None:
    hands = chain("a", "b")
    hands.finish(hands.shard_of("a"))
    starve(hands, hands.shard_of("b"), ["run/constants/0000000001-000"])
    assert hands.last(actions.MakePlan).request.dependencies.keys() == {"b"}
    assert hands.last(actions.WriteAgain).names == ["run/constants/0000000001-000"]


def test_a_manifest_that_only_the_reader_found_lost() -> None:
    hands = chain("a", "b")
    starve(hands, hands.shard_of("b"), [NAMES.manifest(hands.shard_of("a"))])
    for key in ("a", "b"):
        assert hands.last(actions.MakePlan).request.dependencies.keys() == {key}
        hands.plan()
    for key in ("a", "b"):
        hands.finish(hands.shard_of(key))
    assert finished(hands) == ["a", "b"]


def test_what_reads_a_starved_value_is_made_again_as_well() -> None:
    hands = chain("a", "b", "c")
    hands.finish(hands.shard_of("a"))
    lost = [place_of(hands, "a").name]
    starve(hands, hands.shard_of("b"), lost)
    starve(hands, hands.shard_of("c"), lost)
    hands.plan()
    for _ in range(3):
        for key in ("a", "b", "c"):
            record = remembered(hands.tracker).keys[key]
            if record.state is KeyState.PLANNED:
                hands.finish(hands.shard_of(key))
        if remembered(hands.tracker).planning:
            hands.plan()
    assert {*finished(hands)} == {"a", "b", "c"}
    hands.forget("a", "b", "c")
    assert hands.is_clean()


def test_two_readers_that_find_the_same_value_lost_have_it_made_once() -> None:
    hands = Hands(slots=10_000)
    for key, reads in (("a", []), ("b", ["a"]), ("c", ["a"])):
        hands.submit({key: reads}, key, external=reads)
        hands.plan()
    hands.finish(hands.shard_of("a"))
    old, lost = hands.shard_of("a"), [place_of(hands, "a").name]
    starve(hands, hands.shard_of("b"), lost)
    hands.plan()
    again = hands.shard_of("a")
    assert again != old
    starve(hands, hands.shard_of("c"), lost)
    hands.plan()
    assert hands.shard_of("a") == again
    for key in ("a", "b", "c"):
        if hands.tracker.place_of(key) is None:
            hands.finish(hands.shard_of(key))
    assert {*finished(hands)} == {"a", "b", "c"}


def test_what_is_lost_again_and_again_errs() -> None:
    hands = chain("a", "b")
    hands.finish(hands.shard_of("a"))
    for _ in range(ATTEMPTS):
        told = starve(hands, hands.shard_of("b"), ["run/constants/x"])
        assert not any(isinstance(action, actions.FailKey) for action in told)
        hands.plan()
    told = starve(hands, hands.shard_of("b"), ["run/constants/x"])
    assert [action.key for action in told if isinstance(action, actions.FailKey)] == ["b"]


def test_a_scattered_value_that_a_shard_found_lost_errs_its_readers() -> None:
    hands = Hands()
    hands.tell(events.ValuesScattered({"x": Place("run/scattered/0", 0, 9)}))
    hands.submit({"a": ["x"]}, "a", external=["x"])
    hands.plan()
    starve(hands, hands.shard_of("a"), ["run/scattered/0"])
    error = hands.plan().inputs["x"]
    assert isinstance(error, MissingObjectError)
    assert "scatter it again" in str(error)


@pytest.mark.parametrize("final", [True, False])
def test_a_manifest_of_outputs_that_the_shard_has_not_is_damaged(final: bool) -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    hands.plan()
    id = hands.shard_of("a")
    name = NAMES.manifest(id, None if final else 0)
    for bad in (
        Output(7, Kind.FINISHED, Place(name, 0, 1), 8, 0, 1.0, 2.0),
        Output(-1, Kind.FINISHED, Place(name, 0, 1), 8, 0, 1.0, 2.0),
        Output(0, Kind.FINISHED, Place(name, 0, 1), 8, 3, 1.0, 2.0),
    ):
        id = hands.shard_of("a")
        hands.tell(events.ManifestFound(id, name, Manifest(final, 1, [bad], [(b"", "int")])))
        hands.plan()
    hands.finish(hands.shard_of("a"))
    assert finished(hands) == ["a"]


def test_a_last_manifest_that_leaves_an_output_out_errs_it() -> None:
    hands = Hands(slots=1, shards_per_slot=1)
    hands.submit({"a": [], "b": ["a"]}, "a", "b")
    hands.plan()
    id = hands.shard_of("a")
    name = NAMES.manifest(id)
    ordinal = hands.shard(id).outputs.index("a")
    output = Output(ordinal, Kind.FINISHED, Place(name, 0, 1), 8, 0, 1.0, 2.0)
    told = hands.tell(events.ManifestFound(id, name, Manifest(True, 1, [output], [(b"", "int")])))
    (failed,) = [action for action in told if isinstance(action, actions.FailKey)]
    assert failed.key == "b"
    assert isinstance(failed.failure, InternalError)
    assert "'b'" in str(failed.failure)
    hands.forget("a", "b")
    assert hands.is_clean()


def test_a_child_that_left_no_manifest_is_planned_again_and_finer() -> None:
    hands = Hands(slots=1, shards_per_slot=1)
    keys = [f"a-{n}" for n in range(20)]
    hands.submit({key: [] for key in keys}, *keys)
    hands.plan()
    hands.fail(hands.shard_of("a-0"), Ending.UNREADABLE)
    assert hands.last(actions.MakePlan).request.limits.tasks_per_shard == 2
    hands.plan()
    for key in keys:
        if hands.tracker.place_of(key) is None:
            hands.finish(hands.shard_of(key))
    assert {*finished(hands)} == {*keys}


def test_a_lost_value_that_nobody_wants_any_more_is_forgotten() -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    hands.plan()
    hands.finish(hands.shard_of("a"))
    hands.tell(events.ValueLost("a", CorruptObjectError("damaged")))
    hands.forget("a")
    assert hands.is_clean()
