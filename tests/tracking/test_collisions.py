"""A key may stand for older code than a graph has: what reads it gets no digest, or a false one."""

from __future__ import annotations

from dask.typing import Key

from dask_knot.run.record import NO_DIGEST, PlanRecord, pieces
from dask_knot.tracking import actions

from .test_adoption import Holder, Log

SUM: dict[Key, list[Key]] = {"x": [], "w": ["x"], "v": ["w"]}


def recorded(log: Log) -> dict[Key, bytes]:
    """Give the digests of the entry that was written last."""
    entry = log.entries[-1]
    assert isinstance(entry, PlanRecord)
    return dict(zip(entry.keys, pieces(entry.digests), strict=True))


def test_what_reads_a_value_of_older_code_is_recorded_without_a_digest() -> None:
    log = Log()
    first = Holder(log, 0)
    first.ask({"x": []}, "x")
    first.plan()
    first.finish(first.shard_of("x"))
    first.ask({**SUM, "other": []}, "v", "w", "other", edited=["x"])
    first.plan()
    known = recorded(log)
    assert known["v"] == known["w"] == NO_DIGEST
    assert known["other"] != NO_DIGEST
    for key in known:
        first.finish(first.shard_of(key))
    assert first.tracker.digest_of("w") is None
    second = Holder(log, 1)
    second.ask(SUM, "v", edited=["x"])
    assert second.plan_all() == ["v", "w", "x"]


def test_the_same_goes_for_what_is_made_of_that_later() -> None:
    log = Log()
    first = Holder(log, 0)
    first.ask({"x": []}, "x")
    first.plan()
    first.ask(SUM, "w", edited=["x"])
    first.plan()
    first.ask(SUM, "v", edited=["x"])
    first.plan()
    assert recorded(log) == {"v": NO_DIGEST}


def test_a_value_that_was_not_wanted_is_what_it_was_made_as() -> None:
    log = Log()
    first = Holder(log, 0)
    readers: list[Key] = [f"a-{n}" for n in range(8)]
    first.ask({"x": [], **{key: ["x"] for key in readers}}, *readers)
    first.plan()
    assert first.shard(first.shard_of("x")).tasks == ("x",)  # it goes from shard to shard
    first.ask(SUM, "x", "w", edited=["x"])
    while first.has_plan():
        first.plan()
    assert set(recorded(log).values()) == {NO_DIGEST} or "w" not in recorded(log)


def test_what_graphs_disagree_about_is_recorded_without_a_digest() -> None:
    log = Log()
    first = Holder(log, 0, longest=1000.0)
    first.ask({f"busy-{n}": [] for n in range(8)}, *(f"busy-{n}" for n in range(8)))
    first.plan()
    first.ask(SUM, "w")  # all slots are busy: both wait, and are planned together
    first.ask({"x": [], "u": ["x"], "y": []}, "u", "y", edited=["x"])
    for n in range(8):
        first.finish(first.shard_of(f"busy-{n}"))
    assert len(first.last(actions.MakePlan).graphs) == 2
    first.plan()
    known = recorded(log)
    assert known["u"] == NO_DIGEST
    assert known["y"] != NO_DIGEST


def test_what_is_the_same_in_all_graphs_keeps_its_digest() -> None:
    log = Log()
    first = Holder(log, 0)
    first.ask({"x": []}, "x")
    first.plan()
    first.ask(SUM, "v", "w")
    first.plan()
    assert NO_DIGEST not in recorded(log).values()
