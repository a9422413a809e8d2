"""What is said of a cluster's work, in which words, and from when on it is counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from dask.typing import Key

from dask_knot.dashboard.signs import SignsOfLife, line
from dask_knot.dashboard.terminal import Terminal
from dask_knot.run.names import ShardId
from dask_knot.session.progress import Progress
from dask_knot.tracking import events
from dask_knot.tracking.snapshot import Count, Snapshot
from tests.tracking.hands import Hands

AFTER = 2.0


class Work:
    """A tracker whose plans begin and end, of one stage and four tasks each."""

    def __init__(self) -> None:
        self.hands = Hands()

    def begin(self) -> ShardId:
        keys: list[Key] = [f"inc-{len(self.hands.plans)}-{n}" for n in range(4)]
        reads: dict[Key, list[Key]] = {key: keys[:n][-1:] for n, key in enumerate(keys)}
        self.hands.submit(reads, keys[-1])
        self.hands.plan()
        return self.hands.shard_of(keys[-1])

    def end(self, id: ShardId) -> None:
        self.hands.finish(id)


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def life(work: Work) -> Iterator[SignsOfLife]:
    session: Any = SimpleNamespace(
        progress=Progress(work.hands.tracker, dict),
        settings=SimpleNamespace(tempo=SimpleNamespace(progress_after=AFTER)),
        jobs={},
    )
    return SignsOfLife(session, Terminal())


def said(life: SignsOfLife, now: float) -> str:
    life.look(now)
    return life.words(now).partition("  ")[2].partition(",")[0]


def test_nothing_is_said_of_what_is_over_soon(life: SignsOfLife, work: Work) -> None:
    assert said(life, 100) == ""
    id = work.begin()
    assert [said(life, 100 + n / 2) for n in range(4)] == [""] * 4
    assert said(life, 102.1) == "0 of 4 tasks"
    work.end(id)
    assert said(life, 103) == ""


def test_what_ended_before_is_not_counted(life: SignsOfLife, work: Work) -> None:
    work.end(work.begin())
    assert said(life, 100) == ""
    work.begin()
    said(life, 101)
    assert said(life, 104) == "0 of 4 tasks"


def test_nor_is_it_when_the_next_began_at_once(life: SignsOfLife, work: Work) -> None:
    """As in a script that computes one thing after another; and the line stays meanwhile."""
    first = work.begin()
    said(life, 100)
    assert life.words(103).startswith("dask_knot 0:03  0 of 4")
    work.end(first)
    work.begin()
    life.look(103.5)
    assert life.words(103.5).startswith("dask_knot 0:00  0 of 4")


def test_what_goes_on_together_is_counted_together(life: SignsOfLife, work: Work) -> None:
    first = work.begin()
    said(life, 100)
    work.begin()
    said(life, 101)
    work.end(first)
    assert said(life, 103) == "4 of 8 tasks"
    assert life.words(103).startswith("dask_knot 0:03")


def test_a_large_graph_that_is_read_is_a_sign_too(life: SignsOfLife, work: Work) -> None:
    said(life, 100)
    work.hands.tell(events.ArrivalBegan())
    said(life, 101)
    assert said(life, 104) == "reading the graph"


def seen(*counts: Count, waiting: int = 0) -> Snapshot:
    tasks = {f"prefix-{number}": count for number, count in enumerate(counts)}
    return Snapshot((), tasks, waiting, 0, {})


@pytest.mark.parametrize(
    ("now", "children", "lost", "words"),
    [
        (seen(), {}, 0, "reading the graph"),
        (seen(waiting=3), {}, 0, "0 of 3 tasks, being planned"),
        (seen(Count(0, 0, 1)), {}, 0, "0 of 1 task, being submitted"),
        (seen(Count(0, 0, 9)), {"SUBMITTED": 4}, 0, "0 of 9 tasks, 4 jobs submitted"),
        (seen(Count(0, 0, 9)), {"RUNNABLE": 1}, 0, "0 of 9 tasks, 1 job waiting for a machine"),
        (
            seen(Count(4, 0, 9), Count(1, 2, 3000)),
            {"RUNNING": 2, "RUNNABLE": 1200, "PENDING": 1},
            1,
            "5 of 3,009 tasks, 2 erred, 2 jobs running, 1,200 waiting for a machine, "
            "1 waiting for others, 1 job lost",
        ),
    ],
)
def test_words(now: Snapshot, children: Mapping[str, int], lost: int, words: str) -> None:
    assert line(now, children, lost, 65.9) == f"dask_knot 1:05  {words}"


def test_hours() -> None:
    assert line(seen(), {}, 0, 3601).startswith("dask_knot 1:00:01  ")
