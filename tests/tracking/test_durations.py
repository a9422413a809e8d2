"""What tasks cost: from where it is known, what goes before what, and how old numbers fade."""

from __future__ import annotations

from math import sqrt
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.planning import Cost
from dask_knot.run.manifest import Work
from dask_knot.tracking.durations import FADING, Durations, KnownFrom, Said


def work(*seconds: float) -> Work:
    """Tell of tasks that took so long."""
    return Work(len(seconds), sum(seconds), squares=sum(one * one for one in seconds))


def test_the_first_shard_gives_mean_and_deviation() -> None:
    durations = Durations()
    durations.learn({"add": work(1.0, 3.0), "sum": work(3.0)})
    assert durations.costs() == {"add": Cost(2.0, 1.0), "sum": Cost(3.0)}
    assert {*durations.sources().values()} == {KnownFrom.SESSION}


def test_old_numbers_fade() -> None:
    durations = Durations()
    durations.learn({"add": work(8.0)})
    before = 8.0
    for _ in range(20):
        durations.learn({"add": work(0.0)})
        now = durations.costs()["add"].seconds
        assert now < before
        before = now
    assert before < 8.0 * FADING**20


def test_many_tasks_weigh_more_than_one() -> None:
    durations = Durations()
    durations.learn({"add": work(60.0)})  # it imported all there is
    durations.learn({"add": work(*[1.0] * 1000)})
    assert durations.costs()["add"].seconds == pytest.approx(1.0, rel=0.05)


def test_a_spread_is_seen_when_each_shard_has_one_task() -> None:
    durations = Durations()
    for seconds in (1.0, 1.0, 1.0, 9.0) * 5:
        durations.learn({"fit": work(seconds)})
    cost = durations.costs()["fit"]
    assert cost.deviation > cost.seconds / 2


def test_work_without_tasks_says_nothing() -> None:
    durations = Durations()
    durations.learn({"add": Work()})
    assert durations.costs() == {}
    assert durations.sources() == {}


def test_the_size_of_values_is_learned_from_those_that_left_their_shards() -> None:
    durations = Durations()
    durations.learn({"add": Work(4, 2.0, nbytes=80, values=2), "sum": Work(1, 1.0)})
    assert durations.nbytes == {"add": 40.0}
    durations.learn({"add": Work(1, 0.5, nbytes=20, values=1)})
    assert 20.0 < durations.nbytes["add"] < 40.0


OLD, NEW = b"old", b"new"
EARLIER = {("f", OLD): Cost(7.0, 2.0), ("f", b""): Cost(5.0), ("g", b""): Cost(1.0)}


@pytest.mark.parametrize(
    ("codes", "has_run", "expected", "source"),
    [
        ({"f": OLD}, False, Cost(7.0, 2.0), KnownFrom.PROFILE),
        ({"f": OLD}, True, Cost(3.0, 3.0 * 2.0 / 7.0), KnownFrom.SESSION),
        ({"f": NEW}, False, Cost(0.5), KnownFrom.DASK),
        ({"f": NEW}, True, Cost(3.0), KnownFrom.SESSION),
        ({}, False, Cost(5.0), KnownFrom.PROFILE),
        ({}, True, Cost(3.0), KnownFrom.SESSION),
    ],
)
@pytest.mark.parametrize("is_met_first", [False, True])
def test_what_goes_before_what(
    codes: dict[str, bytes], has_run: bool, expected: Cost, source: KnownFrom, is_met_first: bool
) -> None:
    durations = Durations()
    if is_met_first:
        durations.meet(codes)
    durations.assume({"f": 0.5, "h": 0.25})
    durations.recall(EARLIER, {("f", OLD): 70.0})
    if not is_met_first:
        durations.meet(codes)
    if has_run:
        durations.learn({"f": work(3.0)})
    assert durations.costs() == {"f": expected, "g": Cost(1.0), "h": Cost(0.25)}
    assert durations.sources()["f"] is source
    assert durations.nbytes == ({"f": 70.0} if codes == {"f": OLD} else {})


def test_few_tasks_spread_as_far_as_earlier_ones_until_there_are_more() -> None:
    durations = Durations()
    durations.recall({("f", b""): Cost(100.0, 50.0), ("g", b""): Cost(0.0)}, {})
    durations.learn({"f": work(8.0), "g": work(1.0)})
    assert durations.costs() == {"f": Cost(8.0, 4.0), "g": Cost(1.0)}
    durations.learn({"f": work(8.0, 8.0)})
    assert durations.costs()["f"].deviation == 4.0
    durations.learn({"f": work(8.0, 8.0)})
    assert durations.costs()["f"].deviation == pytest.approx(0.0, abs=1e-6)


def test_few_tasks_that_spread_further_than_earlier_ones_do_so() -> None:
    durations = Durations()
    durations.recall({("f", b""): Cost(2.0, 0.1)}, {})
    durations.learn({"f": work(1.0, 3.0)})
    assert durations.costs() == {"f": Cost(2.0, 1.0)}


def test_what_was_recalled_first_stays() -> None:
    durations = Durations()
    durations.recall({("f", OLD): Cost(7.0)}, {("f", OLD): 70.0})
    durations.recall({("f", OLD): Cost(1.0), ("g", NEW): Cost(2.0)}, {("f", OLD): 1.0})
    durations.meet({"f": OLD, "g": NEW})
    assert durations.costs() == {"f": Cost(7.0), "g": Cost(2.0)}
    assert durations.nbytes == {"f": 70.0}


def test_of_code_that_was_edited_nothing_is_known_until_it_is_back() -> None:
    durations = Durations()
    durations.meet({"f": OLD})
    durations.learn({"f": Work(1, 3.0, nbytes=8, values=1, squares=9.0)})
    durations.meet({"f": NEW})
    assert durations.costs() == {}
    assert durations.nbytes == {}
    durations.learn({"f": work(4.0)})
    durations.meet({"g": NEW})
    assert durations.costs() == {"f": Cost(4.0)}
    durations.meet({"f": OLD})
    assert durations.costs() == {"f": Cost(3.0)}
    assert durations.nbytes == {"f": 8.0}


def test_a_copy_learns_without_a_trace() -> None:
    durations = Durations()
    durations.learn({"f": work(3.0)})
    copied = durations.copy()
    copied.meet({"f": NEW})
    copied.assume({"g": 1.0})
    assert copied.costs() == {"g": Cost(1.0)}
    assert durations.costs() == {"f": Cost(3.0)}
    assert durations.sources() == {"f": KnownFrom.SESSION}


seconds = st.floats(0, 1e5)


@given(st.lists(st.lists(seconds, min_size=1, max_size=5), min_size=1, max_size=20))
def test_a_mean_is_among_what_was_seen_and_a_deviation_no_wider(shards: list[list[float]]) -> None:
    durations = Durations()
    for shard in shards:
        durations.learn({"f": work(*shard)})
    cost = durations.costs()["f"]
    low, high = min(map(min, shards)), max(map(max, shards))
    slack = 1e-6 * (1 + high)
    assert low - slack <= cost.seconds <= high + slack
    assert 0 <= cost.deviation <= (high - low) / 2 + sqrt(slack * (1 + high))


@given(st.lists(seconds, min_size=1, max_size=30))
def test_one_shard_is_known_exactly(found: list[float]) -> None:
    durations = Durations()
    durations.learn({"f": work(*found)})
    cost = durations.costs()["f"]
    mean = fmean(found)
    deviation = sqrt(fmean([(one - mean) ** 2 for one in found]))
    assert cost.seconds == pytest.approx(mean, rel=1e-9, abs=1e-9)
    assert cost.deviation == pytest.approx(deviation, rel=1e-3, abs=1e-6 * (1 + max(found)))


@pytest.mark.parametrize(
    ("said", "mean", "correction"),
    [
        (Said(4, 0, 4.0, 1.0, 1.0), 100.0, 100.0),
        (Said(4, 0, 400.0, 100.0, 100.0), 1.0, 0.01),
        (Said(4, 0, 4.0, 1.0, 1.0), 2.0, None),  # good enough
        (Said(4, 0, 103.0, 1.0, 100.0), 1.0, None),  # the short ones may have come first
        (Said(2, 2, 2.0, 1.0, 1.0), 100.0, None),  # nothing was said of some
        (Said(4, 0, 0.0, 0.0, 0.0), 0.001, None),  # it costs as much anyway
    ],
)
def test_what_was_said_is_compared_with_what_was_seen(
    said: Said, mean: float, correction: float | None
) -> None:
    known = Durations()
    known.meet({"f": b"code"})
    new = known.compare({"f": Work(2, 2 * mean)}, {"f": said})
    assert known.corrections.get("f") == (correction and pytest.approx(correction))
    assert new == ([] if correction is None else ["f"])
    assert known.compare({"f": Work(2, 2 * mean)}, {"f": said}) == []  # told once
    seconds = {"f-1": 2.0, "g-1": 2.0}
    assert known.corrected(seconds) == pytest.approx({"f-1": 2.0 * (correction or 1.0), "g-1": 2.0})
    known.meet({"f": b"other code"})
    assert known.corrected(seconds) == seconds
