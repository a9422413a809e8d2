"""What tasks cost, learned from manifests."""

from __future__ import annotations

from dask_knot.run.manifest import Work
from dask_knot.tracking.durations import Durations


def test_the_first_shard_gives_the_mean() -> None:
    durations = Durations()
    durations.learn({"add": Work(tasks=4, seconds=2.0), "sum": Work(tasks=1, seconds=3.0)})
    assert durations.seconds == {"add": 0.5, "sum": 3.0}


def test_old_numbers_fade() -> None:
    durations = Durations()
    for seconds in (8.0, 0.0, 0.0):
        durations.learn({"add": Work(tasks=1, seconds=seconds)})
    assert durations.seconds == {"add": 2.0}


def test_work_without_tasks_says_nothing() -> None:
    durations = Durations()
    durations.learn({"add": Work()})
    assert durations.seconds == {}


def test_the_size_of_values_is_learned_from_those_that_left_their_shards() -> None:
    durations = Durations()
    durations.learn({"add": Work(4, 2.0, nbytes=80, values=2), "sum": Work(1, 1.0)})
    assert durations.nbytes == {"add": 40.0}
    durations.learn({"add": Work(1, 0.5, nbytes=20, values=1)})
    assert durations.nbytes == {"add": 30.0}
