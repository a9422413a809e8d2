"""Trouble is borne while it may pass, and told now and then; what no time mends is an error."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime

import pytest

from dask_knot.errors import (
    AccessError,
    AwsError,
    CredentialsError,
    KnotError,
    StoreAccessError,
    StoreAwayError,
    StoreError,
    StoreGoneError,
    UnreachableError,
)
from dask_knot.session.clockwork import Clockwork
from dask_knot.session.outages import Age, Endurance, Outage, is_outage

NOON = datetime(2026, 11, 28, 12, 0).timestamp()
DAY = 86_400.0
PASSING = [
    CredentialsError("expired"),
    UnreachableError("no network"),
    StoreAwayError("no S3"),
    ConnectionError("reset"),
    TimeoutError("slow"),
]
STAYING = [
    AccessError("denied"),
    AwsError("refused"),
    StoreAccessError("denied"),
    KnotError("odd"),
    ValueError("a mistake"),
]


def times(error: Exception, seconds: float, are_over: bool = False) -> list[float]:
    """Endure something every ten seconds, and list when it was told to futures."""
    outage, found = Outage(30.0), []
    for now in range(0, int(seconds), 10):
        if outage.endure(error, now, are_over) is not None:
            found.append(float(now))
    return found


def test_who_watches_is_not_patient_with_a_store_that_is_gone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    trouble, gone = Outage(30.0), StoreGoneError("gone")
    assert trouble.endure(gone, 0.0) is gone
    assert not trouble.is_present
    assert [one for one in caplog.records if one.name.startswith("dask_knot")] == []
    assert trouble.endure(StoreError("busy"), 0.0) is None
    assert trouble.endure(gone, 1.0) is gone


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("are_over", [False, True])
def test_what_passes_is_waited_for_without_end(error: Exception, are_over: bool) -> None:
    assert is_outage(error)
    assert times(error, DAY, are_over) == []


@pytest.mark.parametrize("error", STAYING, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("are_over", [False, True])
def test_what_may_stay_is_told_after_a_while(error: Exception, are_over: bool) -> None:
    assert not is_outage(error)
    assert times(error, 60, are_over) == [40.0]


def test_a_folder_is_waited_for_while_jobs_go_on() -> None:
    outage, away = Outage(30.0), StoreError("mount it again")
    assert times(away, DAY) == []
    assert times(away, 60, are_over=True) == [40.0]
    assert all(outage.endure(away, now) is None for now in range(0, 1000, 10))
    found = [outage.endure(away, now, are_over=True) for now in range(1000, 1050, 10)]
    assert found == [None, None, None, None, away]


def test_the_night_of_a_computer_that_sleeps_is_not_counted() -> None:
    outage, away = Outage(30.0), StoreError("mount it again")
    assert outage.endure(away, 0.0, are_over=True) is None
    assert outage.endure(away, 29_000.0, are_over=True) is None  # it has just woken up
    assert outage.endure(away, 29_020.0, are_over=True) is None
    assert outage.endure(away, 29_040.0, are_over=True) is away


def test_trouble_of_two_kinds_is_not_added_up() -> None:
    outage = Outage(30.0)
    assert outage.endure(AccessError("denied"), 0.0) is None
    assert outage.endure(CredentialsError("expired"), 25.0) is None
    assert outage.endure(AccessError("denied"), 50.0) is None
    assert outage.endure(AccessError("denied"), 75.0) is None
    assert outage.endure(AccessError("denied"), 85.0) is not None


def test_it_is_told_at_once_and_then_ever_more_seldom() -> None:
    outage, error, told = Outage(30.0), CredentialsError("expired"), []
    for now in range(0, 12_000, 10):
        outage.endure(error, now)
        if outage.should_tell(error, now):
            told.append(now)
    assert told == [0, 60, 300, 900, 4500, 8100, 11_700]
    assert outage.end(12_000) == 12_000
    assert outage.end(12_010) is None


def test_another_cause_is_told_at_once() -> None:
    outage, lost, expired = Outage(30.0), UnreachableError("no network"), CredentialsError("old")
    outage.endure(lost, 0)
    assert outage.should_tell(lost, 0)
    outage.endure(expired, 100)
    assert outage.should_tell(expired, 100)
    assert not outage.should_tell(expired, 101)
    assert not outage.should_tell(lost, 102)
    assert outage.should_tell(lost, 300)


def test_words_say_since_when_and_why_and_that_nothing_is_lost() -> None:
    outage, error = Outage(30.0), CredentialsError("they have expired: `aws sso login`.")
    outage.endure(error, 0)
    later = NOON + 3 * 3600
    for epoch in (NOON, later):
        words = outage.words("jobs can't be watched", error, epoch)
        assert words.startswith("jobs can't be watched since Sat 12:00: ")
        assert "they have expired: `aws sso login`. Submitted jobs keep running" in words
    outage.end(10)
    outage.endure(error, 20)
    assert "since Sat 15:00" in outage.words("jobs can't be watched", error, later)


def test_an_age_begins_anew_when_nobody_has_looked() -> None:
    age = Age(60.0)
    assert [age.of(True, now) for now in (0, 50, 100)] == [0, 50, 100]
    assert age.of(True, 161) == 0
    assert age.of(False, 170) == 0
    assert age.of(True, 180) == 0


class Clock:
    """A clock that goes on when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def pause(self, seconds: float) -> None:
        """Let it go on."""
        self.now += seconds

    def works(self) -> Clockwork:
        """Give it to somebody."""
        return Clockwork(now=lambda: self.now, pause=self.pause, epoch=lambda: NOON)

    def endure(self) -> Endurance:
        """Give one who waits by it."""
        return Endurance(self.works(), lambda line: None)


def test_what_is_to_be_done_in_order_is_done_when_the_outage_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()

    def submit() -> str:
        if clock.now < 7200:
            raise CredentialsError("they have expired: `aws sso login`")
        return "submitted"

    assert clock.endure().call("no work goes out", submit) == "submitted"
    assert 7200 <= clock.now <= 7210
    said = [record.message for record in caplog.records]
    assert len(said) == 6
    assert all("no work goes out since Sat 12:00: they have expired" in one for one in said[:-1])
    assert said[-1] == "back after 120m 0s: it works again"


def test_people_are_told_in_the_event_loop() -> None:
    clock, threads = Clock(), list[threading.Thread]()

    def submit() -> None:
        if clock.now < 100:
            raise UnreachableError("no network")

    async def main() -> None:
        endurance = Endurance(
            clock.works(), lambda line: threads.append(threading.current_thread())
        )
        endurance.start()
        await asyncio.to_thread(endurance.call, "no work goes out", submit)

    asyncio.run(main())
    assert threads == [threading.current_thread()] * 3


def test_nobody_who_closes_waits_for_it() -> None:
    clock = Clock()
    endurance = clock.endure()

    def submit() -> None:
        if clock.now > 100:
            endurance.end()
        raise UnreachableError("no network")

    with pytest.raises(UnreachableError):
        endurance.call("no work goes out", submit)
    assert clock.now < 120


@pytest.mark.parametrize("error", STAYING, ids=lambda error: type(error).__name__)
def test_what_stays_is_an_error_of_the_submission_at_once(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()

    def submit() -> None:
        raise error

    with pytest.raises(type(error)):
        clock.endure().call("no work goes out", submit)
    assert clock.now == 0
    assert caplog.records == []
