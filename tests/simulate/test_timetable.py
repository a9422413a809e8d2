"""Tables of moments; and a simulated child gives up what a real one does."""

from __future__ import annotations

from itertools import islice

import pytest
from dask._task_spec import Task, TaskRef
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.simulate import timetable
from benchmarks.simulate.numbers import Numbers
from benchmarks.simulate.timetable import Reads
from dask_knot.job.agenda import Agenda
from dask_knot.run.work import Options, ShardWork


@pytest.mark.parametrize(
    ("elapsed", "look", "looks"),
    [
        (0.0, 5.0, 0),
        (4.9, 5.0, 0),
        (5.0, 15.0, 1),
        (34.0, 35.0, 2),
        (35.0, 55.0, 3),
        (3600.0, 3615.0, 181),
    ],
)
def test_a_child_looks_ever_more_seldom(elapsed: float, look: float, looks: int) -> None:
    assert timetable.next_look(5.0, 20.0, elapsed) == look
    assert timetable.count_looks(5.0, 20.0, elapsed) == looks


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 200))
def test_looks_are_counted_as_they_come(first: int, longest: int, elapsed: int) -> None:
    count, moment = 0, 0.0
    while (moment := timetable.next_look(first, longest, moment)) <= elapsed:
        count += 1
    assert count == timetable.count_looks(first, longest, elapsed)


@pytest.mark.parametrize(
    ("moment", "tick"), [(100.0, 105.0), (103.0, 105.0), (105.0, 105.0), (105.1, 110.0)]
)
def test_parts_are_committed_at_ticks(moment: float, tick: float) -> None:
    assert timetable.next_tick(100.0, 5.0, moment) == tick


def test_inputs_arrive_in_order_and_share_the_network() -> None:
    numbers = Numbers(s3_latency=0.1, s3_rate=100.0, job_rate=200.0, requests_at_once=2)
    there = timetable.arrivals(numbers, 10.0, [(["a"], 200), (["b", "c"], 200), (["d"], 400)])
    assert there == pytest.approx({"a": 11.1, "b": 12.1, "c": 12.1, "d": 14.2})


@st.composite
def shards(draw: st.DrawFn) -> tuple[ShardWork, int]:
    """Draw a shard, and how many of its tasks have ended."""
    count = draw(st.integers(1, 12))
    tasks = []
    for number in range(count):
        read = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        tasks.append(Task(f"t-{number}", sum, *(TaskRef(f"t-{one}") for one in sorted(read))))
    outputs = [t.key for t in tasks if draw(st.booleans())]
    return ShardWork(tasks, [], {}, outputs, Options()), draw(st.integers(0, count - 1))


@given(shards())
def test_what_is_given_up_is_what_a_real_child_gives_up(case: tuple[ShardWork, int]) -> None:
    work, ended = case
    agenda = Agenda(work.tasks)
    for node in islice(work.tasks, ended + 1):
        agenda.begin(node.key)
    for node in islice(work.tasks, ended):
        agenda.end(node.key, has_failed=False)
    real = agenda.foresee()
    reads = Reads.of(work)
    found = timetable.given_up(reads, range(ended + 1, len(work.tasks)), {ended})
    assert [work.tasks[n].key for n in found] == [node.key for node in real.tasks]
    outputs = {n for n, node in enumerate(work.tasks) if node.key in work.outputs}
    extra = [work.tasks[n].key for n in timetable.extras(reads, found, outputs)]
    assert extra == [key for key in real.reads if key not in work.outputs]


def test_only_what_is_needed_runs_again() -> None:
    reads = Reads([[], [0], [0], [1, 2], []], [[] for _ in range(5)])
    assert timetable.needed(reads, [3, 4], {1}) == [0, 2, 3, 4]
    assert timetable.needed(reads, [3], {1, 2}) == [3]
    assert timetable.needed(reads, [3], {3}) == []
