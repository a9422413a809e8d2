"""Slots and cores are told from times: no two things at once on one, and no more than needed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.dashboard.lanes import Lanes, cores
from dask_knot.run.names import ShardId, StageId


def shard(number: int) -> ShardId:
    return ShardId(StageId(0, 0), number)


Told = tuple[int, float, float, bool]


@pytest.mark.parametrize(
    ("told", "slots"),
    [
        ([(0, 0, 1, True), (1, 1, 2, True)], [0, 0]),
        ([(0, 0, 1, True), (1, 0.5, 2, True), (2, 1, 3, True)], [0, 1, 0]),
        ([(0, 5, 6, True), (1, 0, 4, True)], [0, 0]),  # told late, fits before
        ([(0, 5, 6, True), (1, 0, 5.5, True)], [0, 1]),
        ([(0, 0, 1, False), (1, 2, 3, True), (0, 1, 4, True), (2, 4, 5, True)], [0, 1, 0, 0]),
        ([(0, 5, 6, True), (1, 0, 1, False)], [0, 1]),  # who knows how long it will run
    ],
)
def test_shards_get_slots(told: list[Told], slots: list[int]) -> None:
    lanes = Lanes()
    assert [lanes.place(shard(n), *span) for n, *span in told] == slots  # type: ignore[arg-type]


def test_a_lost_shard_gives_its_slot_back() -> None:
    lanes = Lanes()
    assert lanes.place(shard(0), 0, 1, False) == 0
    lanes.keep(lambda shard: True)
    assert lanes.place(shard(1), 2, 3, True) == 1
    lanes.keep(lambda shard: False)
    assert lanes.place(shard(2), 2, 3, True) == 0


class Counted(float):
    """A time that counts how often times are compared."""

    count = 0

    def _compared(self, name: str, other: float) -> bool:
        Counted.count += 1
        return bool(getattr(float, name)(self, other))

    def __lt__(self, other: float) -> bool:
        return self._compared("__lt__", other)

    def __le__(self, other: float) -> bool:
        return self._compared("__le__", other)

    def __gt__(self, other: float) -> bool:
        return self._compared("__gt__", other)

    def __ge__(self, other: float) -> bool:
        return self._compared("__ge__", other)


def test_many_jobs_at_once_dont_look_at_each_others_slots() -> None:
    lanes = Lanes()
    slots = [lanes.place(shard(n), Counted(n), 10_000.0, True) for n in range(500)]
    assert slots == list(range(500))
    assert Counted.count < 10 * 500


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0.1, 3)), max_size=40))
def test_no_slot_runs_two_shards_at_once(spans: list[tuple[float, float]]) -> None:
    lanes = Lanes()
    ran: dict[int, list[tuple[float, float]]] = {}
    for number, (start, length) in enumerate(sorted(spans)):
        slot = lanes.place(shard(number), start, start + length, True)
        assert all(start >= stop for _, stop in ran.get(slot, []))
        ran.setdefault(slot, []).append((start, start + length))
    most = max((sum(a <= start < a + n for a, n in spans) for start, _ in spans), default=0)
    assert len(ran) == most, "as many as ran at once"


@pytest.mark.parametrize(
    ("times", "ends", "expected", "later"),
    [
        ([0, 1, 1, 2], [], [0, 0], [2]),
        ([0, 2, 1, 3], [], [0, 1], [2, 3]),
        ([1, 2, 0, 3], [], [1, 0], [3, 2]),  # the long task ended last
        ([3, 4], [2], [0], [4]),
        ([0, 5], [2], [1], [2, 5]),  # it began before the part that told of the others
    ],
)
def test_tasks_get_cores(
    times: list[float], ends: list[float], expected: list[int], later: list[float]
) -> None:
    assert cores(times, ends) == expected
    assert ends == later
