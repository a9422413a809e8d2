"""Shards that nobody needs, in an array that others need: their children are told, once there."""

from __future__ import annotations

from dask_knot.tracking import actions

from .hands import NAMES, Hands


def test_children_are_told_while_others_of_their_array_are_needed() -> None:
    hands = Hands(slots=4, shards_per_slot=1)
    keys = ["a", "b", "c"]
    hands.submit({key: [] for key in keys}, *keys)
    hands.plan()
    shards = {key: hands.shard_of(key) for key in keys}
    (stage,) = {shard.stage for shard in shards.values()}
    assert len(set(shards.values())) == 3
    assert hands.tracker.unneeded_shards(stage) == []
    assert hands.forget("a") == [actions.DisownShards(stage)]
    assert hands.tracker.unneeded_shards(stage) == [shards["a"]]
    hands.submit({"a": []}, "a")  # wanted again: that is another shard's to make
    hands.forget("b")
    assert hands.tracker.unneeded_shards(stage) == [shards["a"], shards["b"]]
    assert hands.all(actions.TerminateStage) == []
    told = hands.finish(shards["c"])
    assert actions.TerminateStage(stage) in told
    assert hands.tracker.unneeded_shards(stage) == []
    (deleted,) = [a for a in hands.forget("c") if isinstance(a, actions.DeleteObjects)]
    assert {NAMES.pack(stage), NAMES.orders(stage)} <= set(deleted.names)


def test_who_is_alone_in_it_is_ended_and_not_told() -> None:
    hands = Hands()
    hands.submit({"a": []}, "a")
    hands.plan()
    told = hands.forget("a")
    assert not [action for action in told if isinstance(action, actions.DisownShards)]
    assert [action for action in told if isinstance(action, actions.TerminateStage)]
