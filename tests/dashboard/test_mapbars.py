"""When the bars of maps are shown, and what stays of them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from dask_knot.dashboard.bar import Standing
from dask_knot.dashboard.mapbars import AFTER, STAYS, MapBars
from dask_knot.dashboard.terminal import Terminal
from dask_knot.session.progress import Progress
from tests.dashboard.screens import screen
from tests.dashboard.test_terminal import Tty
from tests.dashboard.test_terminal import terminal as one_terminal
from tests.tracking.hands import Hands


class Work:
    """Maps of four items, in a session that has no jobs."""

    def __init__(self, money: str = "") -> None:
        self.done = 0
        self.session: Any = SimpleNamespace(
            progress=Progress(Hands().tracker, dict),
            jobs={},
            spending=SimpleNamespace(words=lambda: money),
        )

    def counts(self) -> Standing:
        return Standing("", self.done, 0, 4)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    found = asyncio.new_event_loop()
    yield found
    found.close()


def awaited(call: Callable[[], str]) -> str:
    """Call in a thread, while the main one waits for it."""
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]


def test_it_comes_soon_if_somebody_waits_and_goes_when_nobody_does(
    loop: asyncio.AbstractEventLoop,
) -> None:
    work = Work()
    bars, now = MapBars(work.session, loop, Terminal()), time.monotonic()
    bars.begin("squares", work.counts)
    assert awaited(lambda: bars.words(now + AFTER / 2)) == ""
    assert bars.words(now + STAYS + 1) == ""
    work.done = 1
    first = awaited(lambda: bars.words(now + STAYS + 2))
    assert first.startswith("squares:  25%|")
    assert bars.words(now + STAYS + 2.5).startswith("squares:  25%|")  # who goes through results
    assert bars.words(now + 2 * STAYS + 2.1) == ""
    bars.end("squares")
    assert bars.words(now + 2 * STAYS + 2.1) == ""


@pytest.mark.parametrize(
    ("money", "said"),
    [("", "?]"), ("0.12 to 0.30 USD", "?, 0.12 to 0.30 USD]"), ("unknown", "?, cost unknown]")],
)
def test_what_it_costs_is_said(loop: asyncio.AbstractEventLoop, money: str, said: str) -> None:
    work = Work(money)
    bars, now = MapBars(work.session, loop, Terminal()), time.monotonic()
    bars.begin("squares", work.counts)
    assert awaited(lambda: bars.words(now + 1.5)).endswith(f"[0:01<{said}")


def test_of_several_maps_the_oldest_has_the_bar(loop: asyncio.AbstractEventLoop) -> None:
    work = Work()
    bars, now = MapBars(work.session, loop, Terminal()), time.monotonic()
    for name in ("first", "second", "third"):
        bars.begin(name, work.counts)
    text = awaited(lambda: bars.words(now + 1))
    assert text.startswith("first:   0%|")
    assert text.endswith(" and 2 maps more")
    assert len(text) < 80
    bars.end("first", is_done=False)
    assert awaited(lambda: bars.words(now + 1)).startswith("second:   0%|")


async def follow(work: Work, tty: Tty, is_done: bool) -> None:
    bars = MapBars(work.session, asyncio.get_running_loop(), Terminal(lambda stream: True))
    bars.begin("squares", work.counts)
    bars.begin("too short to be seen", work.counts)
    bars.end("too short to be seen", is_done)
    deadline = time.monotonic() + 20
    while "25%" not in tty.written and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    bars.end("squares", is_done)
    bars.end("squares", is_done)


@pytest.mark.parametrize(("is_done", "left"), [(True, ["squares: 4 items [0:00"]), (False, [])])
def test_of_a_map_that_is_done_a_line_stays(is_done: bool, left: list[str]) -> None:
    work = Work()
    work.done = 1
    with one_terminal() as tty:
        thread = threading.Thread(target=lambda: asyncio.run(follow(work, tty, is_done)))
        thread.start()
        thread.join()
        print("after it")
    assert [line.partition(",")[0] for line in screen(tty.written)] == [*left, "after it"]


def test_a_session_that_is_closed_shows_nothing(loop: asyncio.AbstractEventLoop) -> None:
    work = Work()
    loop.close()
    bars = MapBars(work.session, loop, Terminal())
    bars.begin("squares", work.counts)
    bars.end("squares")
