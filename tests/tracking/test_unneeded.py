"""Shards that nobody needs, in an array that others need: their children are told, once there."""

from __future__ import annotations

from dask_knot.run.names import ShardId, StageId
from dask_knot.tracking import actions

from .hands import NAMES, Hands


def told(hands: Hands, stage: StageId) -> list[ShardId]:
    """List the shards whose children are told that nobody needs them."""
    return [ShardId(stage, index) for index in sorted(hands.tracker.orders_of(stage).unneeded)]


def test_children_are_told_while_others_of_their_array_are_needed() -> None:
    hands = Hands(slots=4, shards_per_slot=1)
    keys = ["a", "b", "c"]
    hands.submit({key: [] for key in keys}, *keys)
    hands.plan()
    shards = {key: hands.shard_of(key) for key in keys}
    (stage,) = {shard.stage for shard in shards.values()}
    assert len(set(shards.values())) == 3
    assert told(hands, stage) == []
    assert hands.forget("a") == [actions.TellChildren(stage)]
    assert told(hands, stage) == [shards["a"]]
    hands.submit({"a": []}, "a")  # wanted again: that is another shard's to make
    hands.forget("b")
    assert told(hands, stage) == [shards["a"], shards["b"]]
    assert hands.all(actions.TerminateStage) == []
    decided = hands.finish(shards["c"])
    assert actions.TerminateStage(stage) in decided
    assert told(hands, stage) == []
    (deleted,) = [a for a in hands.forget("c") if isinstance(a, actions.DeleteObjects)]
    assert {NAMES.pack(stage), NAMES.orders(stage)} <= set(deleted.names)


def test_who_is_alone_in_it_is_ended_and_not_told() -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    hands.plan()
    decided = hands.forget("a")
    assert not [action for action in decided if isinstance(action, actions.TellChildren)]
    assert [action for action in decided if isinstance(action, actions.TerminateStage)]
