"""Sessions that are there, and those that are gone, in virtual time."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_knot.run.presence import Beat, Presence
from dask_knot.runs.presence import Observer
from dask_knot.runs.reading import read_holders
from tests.runs.stores import ELSEWHERE, MadeRun


class Clock:
    """Goes on when somebody waits; then something may happen, after so many seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.deeds: dict[float, object] = {}
        self.said: list[str] = []

    def pause(self, seconds: float) -> None:
        self.now += seconds
        for when in [when for when in self.deeds if when <= self.now]:
            deed = self.deeds.pop(when)
            assert callable(deed)
            deed()


@pytest.fixture
def made(tmp_path: Path) -> MadeRun:
    return MadeRun(tmp_path / "store")


@pytest.fixture
def clock() -> Clock:
    return Clock()


def alive(made: MadeRun, clock: Clock) -> set[int]:
    observer = Observer(clock.said.append, lambda: clock.now, clock.pause)
    return {*read_holders(made.run, made.info, observer).marks.alive}


def beat(made: MadeRun, count: int, state: Presence = Presence.OPEN) -> None:
    made.run.record.beat(0, Beat(count, state, 30.0))


def test_a_process_of_this_machine_is_seen_at_once(made: MadeRun, clock: Clock) -> None:
    made.open(is_alive=True)
    made.open()
    assert alive(made, clock) == {0}
    assert clock.now == 0


def test_who_has_left_is_gone_though_its_process_is_there(made: MadeRun, clock: Clock) -> None:
    made.open(is_alive=True)
    beat(made, 1, Presence.LEFT)
    assert alive(made, clock) == set()
    assert clock.now == 0


def test_a_heartbeat_that_changes_is_a_session(made: MadeRun, clock: Clock) -> None:
    made.open(machine=ELSEWHERE)
    beat(made, 1)
    clock.deeds = {20.0: lambda: beat(made, 2)}
    assert alive(made, clock) == {0}
    assert 20 <= clock.now < 25
    assert clock.said == ["waiting for heartbeats of run climate from laptop …"]


def test_a_heartbeat_that_stays_is_that_of_a_session_that_is_gone(
    made: MadeRun, clock: Clock
) -> None:
    made.open(machine=ELSEWHERE)
    beat(made, 1)
    assert alive(made, clock) == set()
    assert 60 <= clock.now < 65


def test_a_session_that_leaves_meanwhile_is_gone(made: MadeRun, clock: Clock) -> None:
    made.open(machine=ELSEWHERE)
    beat(made, 1)
    clock.deeds = {10.0: lambda: beat(made, 2, Presence.LEFT)}
    assert alive(made, clock) == set()
    assert clock.now < 15


def test_a_session_that_does_not_say_who_it_is_may_have_a_heartbeat(
    made: MadeRun, clock: Clock
) -> None:
    made.run.claim_session()
    beat(made, 1)
    clock.deeds = {10.0: lambda: beat(made, 2)}
    assert alive(made, clock) == {0}


def test_a_session_without_a_heartbeat_elsewhere_is_gone(made: MadeRun, clock: Clock) -> None:
    made.run.claim_session()
    assert alive(made, clock) == set()
