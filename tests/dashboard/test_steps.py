"""Progress: following futures to their ends, however these are, and bars of what is seen."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from dask_knot.dashboard.progress import as_html, rows
from dask_knot.dashboard.steps import Step, follow
from dask_knot.tracking.snapshot import Count


@dataclass
class FakeFuture:
    """Has one status after the other, and then keeps the last."""

    key: str
    states: Iterator[str]
    last: str = ""

    @property
    def status(self) -> str:
        self.last = next(self.states, self.last)
        return self.last


@dataclass
class FakeScheduler:
    """Answers with what is given, and notes what it was asked."""

    answers: list[dict[str, Any]]
    asked: list[Any] = field(default_factory=list)

    async def knot_progress(self, **question: Any) -> dict[str, Any]:
        self.asked.append(question)
        if not self.answers:
            raise OSError("closed")
        return self.answers.pop(0)


def answer(done: int, is_idle: bool = False) -> dict[str, Any]:
    return {"plans": [3], "tasks": [("add", done, 0, 2)], "waiting": 0, "is_idle": is_idle}


def followed(scheduler: FakeScheduler, futures: list[FakeFuture] | None) -> list[Step]:
    steps: list[Step] = []
    asyncio.run(asyncio.wait_for(follow(scheduler, futures, steps.append), 10))  # type: ignore[arg-type]
    return steps


@pytest.mark.parametrize("end", ["finished", "error", "cancelled", "lost"])
def test_it_ends_when_no_future_is_pending(end: str) -> None:
    future = FakeFuture("a", iter(["pending"] * 3), last=end)
    future.states = iter(["pending", "pending", end])
    scheduler = FakeScheduler([answer(1), answer(2), answer(2)])
    steps = followed(scheduler, [future])
    assert [step.tasks["add"].done for step in steps] == [1, 2]
    assert [step.is_over for step in steps] == [False, True]
    done = end == "finished"
    assert steps[-1].futures == Count(done, not done, 1)
    assert [question["plans"] for question in scheduler.asked] == [(), [3]], "what it learned"


def test_a_cluster_is_followed_until_nothing_runs() -> None:
    idle = [True, False, True, True]
    scheduler = FakeScheduler([answer(1, is_idle=each) for each in idle])
    assert [step.is_over for step in followed(scheduler, None)] == [False, False, False, True]
    assert [question["keys"] for question in scheduler.asked] == [None] * 4


def test_it_ends_with_its_scheduler() -> None:
    future = FakeFuture("a", iter(()), last="pending")
    assert len(followed(FakeScheduler([answer(1)]), [future])) == 1


STEP = Step({"add<": Count(1, 1, 4)}, 5, Count(2, 0, 9), False)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (STEP, [("futures", "2 / 9, 5 to be planned"), ("add<", "1 / 4, 1 erred")]),
        (
            # The bar of all goes forth only: a plan takes from what waits what it adds to the rest.
            Step({"a": Count(1, 0, 2), "b": Count(0, 0, 3)}, 4, Count(), False),
            [
                ("all tasks", "1 / 9, 4 to be planned"),
                ("a", "1 / 2"),
                ("b", "0 / 3"),
            ],
        ),
    ],
)
def test_bars_are_named(step: Step, expected: list[tuple[str, str]]) -> None:
    assert [(name, words) for name, _, words in rows(step)] == expected


def test_html_is_escaped_and_has_the_shares() -> None:
    html = as_html(STEP)
    assert "add&lt;" in html
    assert html.count("width:25.0%") == 2, "a quarter is done, another one erred"
