"""The time of jobs as manifests tell of it, whatever the order in which they are read."""

from __future__ import annotations

from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.run.machine import Machine
from dask_knot.run.manifest import Manifest, Work
from dask_knot.run.names import ShardId, StageId
from dask_knot.runs.attendance import Attendance, covered

SHARD = ShardId(StageId(0, 0), 3)
SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=20)


def flat(spans: list[tuple[int, int]]) -> array[float]:
    return array("d", [t for start, length in spans for t in (start, start + length)])


@given(SPANS, st.integers(0, 80))
def test_seconds_with_a_task_are_counted_once(spans: list[tuple[int, int]], since: int) -> None:
    seconds = {s for start, length in spans for s in range(start, start + length) if s >= since}
    assert covered(flat(spans), since) == len(seconds)


def part(number: int, **more: Any) -> Manifest:
    """Make one of several manifests of an attempt: a task each, a second apart."""
    times = array("d", [10.0 * number, 10.0 * number + 9])
    known = {"work": {"load": Work(1, 9.0)}, "requests": {"get": number, "put": 1}}
    return Manifest(number == 3, 1, (), times=times.tobytes(), **{**known, **more})


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_manifests_of_an_attempt_add_up(order: tuple[int, ...]) -> None:
    attendance = Attendance()
    machines = {1: Machine("ip"), 2: Machine("ip", "m5.large", "us-east-1a"), 3: Machine("ip")}
    for number in order:
        found = part(number, machine=machines[number], started=5.0)
        attendance.note(SHARD, found, is_parallel=False)
    (attended,) = attendance.attempts.values()
    assert attended.machine == machines[2], "what one of them knows stays"
    assert (attended.started, attended.stopped, attended.busy) == (5.0, 39.0, 27.0)
    assert attended.work == {"load": 27.0}
    assert attended.requests == {"get": 3, "put": 1}, "each counts from the start"
    assert attendance.changes == 3


def test_attempts_are_told_apart() -> None:
    attendance = Attendance()
    attendance.note(SHARD, part(1))
    attendance.note(SHARD, Manifest(True, 2, (), requests={"get": 5}, started=50.0))
    assert [*attendance.attempts] == [(SHARD, 1), (SHARD, 2)]
    assert attendance.requests() == {"get": 6, "put": 1}
    assert attendance.attempts[SHARD, 2].stopped == 50.0


def test_tasks_beside_each_other_are_busy_once() -> None:
    attendance = Attendance()
    attendance.note(SHARD, Manifest(False, 1, (), times=flat([(0, 10), (5, 10)]).tobytes()))
    attendance.note(SHARD, Manifest(True, 1, (), times=flat([(12, 10)]).tobytes()))
    assert attendance.attempts[SHARD, 1].busy == 22


def test_what_was_read_before_stays_as_it_was() -> None:
    """It is added up in other threads than the one that reads manifests."""
    attendance = Attendance()
    attendance.note(SHARD, part(1))
    attended = attendance.attempts[SHARD, 1]
    work, requests = attended.work, attended.requests
    attendance.note(SHARD, part(2, work={"fit": Work(1, 2.0)}))
    assert (work, requests) == ({"load": 9.0}, {"get": 1, "put": 1})
