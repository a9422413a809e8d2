"""The last decisions are kept with their times, and all are in the log."""

from __future__ import annotations

import logging

import pytest

from dask_knot.session.decisions import REMEMBERED, Decision, Decisions


def test_decisions_are_kept_with_their_times_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    times = iter([10.0, 20.0])
    decisions = Decisions(lambda: next(times), print)
    with caplog.at_level(logging.INFO, "dask_knot.session.decisions"):
        decisions.note("wider")
        decisions.note("narrower")
    assert decisions.all() == (Decision(10.0, "wider"), Decision(20.0, "narrower"))
    assert [record.message for record in caplog.records] == ["wider", "narrower"]


def test_news_is_told_at_once_and_who_listens_may_fail() -> None:
    told: list[str] = []

    def listen(line: str) -> None:
        told.append(line)
        raise OSError("the terminal is gone")

    decisions = Decisions(lambda: 0.0, listen)
    decisions.note("twice as much", is_news=True)
    decisions.note("wider")
    assert told == ["twice as much"]
    assert [decision.text for decision in decisions.all()] == ["twice as much", "wider"]


def test_only_the_last_are_kept() -> None:
    decisions = Decisions(lambda: 0.0, print)
    for number in range(REMEMBERED + 3):
        decisions.note(str(number))
    found = decisions.all()
    assert (len(found), found[0].text, found[-1].text) == (REMEMBERED, "3", str(REMEMBERED + 2))
