"""When the bar of a map is shown, and what stays of it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from dask_knot.dashboard.bar import Standing
from dask_knot.dashboard.mapbar import AFTER, STAYS, MapBar
from dask_knot.dashboard.terminal import Terminal
from tests.dashboard.screens import screen
from tests.dashboard.test_terminal import Tty
from tests.dashboard.test_terminal import terminal as one_terminal


class Work:
    """A map of four items."""

    done = 0

    def look(self) -> Standing:
        return Standing("squares", self.done, 0, 4, running=1)


@pytest.fixture
def work() -> Work:
    return Work()


def awaited(call: Callable[[], str]) -> str:
    """Call in a thread, while the main one waits for it."""
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]


def test_it_comes_soon_if_somebody_waits_and_goes_when_nobody_does(work: Work) -> None:
    mapbar, now = MapBar(work.look), time.monotonic()
    assert awaited(lambda: mapbar.words(now + AFTER / 2)) == ""
    assert mapbar.words(now + STAYS + 1) == ""
    work.done = 1
    first = awaited(lambda: mapbar.words(now + STAYS + 2))
    assert first.startswith("squares:  25%|")
    assert mapbar.words(now + STAYS + 2.5).startswith("squares:  25%|")  # who goes through results
    assert mapbar.words(now + 2 * STAYS + 2.1) == ""


async def follow(mapbar: MapBar, tty: Tty, is_done: bool) -> None:
    mapbar.start()
    deadline = time.monotonic() + 20
    while "25%" not in tty.written and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    mapbar.close(is_done)


@pytest.mark.parametrize(("is_done", "left"), [(True, ["squares: 4 items [0:00"]), (False, [])])
def test_of_a_map_that_is_done_a_line_stays(work: Work, is_done: bool, left: list[str]) -> None:
    work.done = 1
    with one_terminal() as tty:
        mapbar = MapBar(work.look, Terminal(lambda stream: True))
        thread = threading.Thread(target=lambda: asyncio.run(follow(mapbar, tty, is_done)))
        thread.start()
        thread.join()
        print("after it")
    assert [line.partition(",")[0] for line in screen(tty.written)] == [*left, "after it"]


def test_what_is_over_at_once_leaves_nothing(work: Work) -> None:
    async def begin_and_end() -> None:
        mapbar = MapBar(work.look, Terminal(lambda stream: True))
        mapbar.start()
        mapbar.close()
        mapbar.close()

    with one_terminal() as tty:
        asyncio.run(begin_and_end())
    assert tty.written == ""
