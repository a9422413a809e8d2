"""Decisions as text and as a table."""

from __future__ import annotations

import re

from dask_knot.dashboard.decisiontable import DecisionTable
from dask_knot.session.decisions import Decision

DECISIONS = [Decision(0.0, "first"), Decision(86_400.0 * 40, "because <lambda> is slow")]


def test_a_line_says_when_and_what() -> None:
    lines = repr(DecisionTable(DECISIONS)).splitlines()
    assert [line.split("  ") for line in lines] == [
        [line[:19], decision.text] for line, decision in zip(lines, DECISIONS, strict=True)
    ]
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", line) for line in lines)


def test_a_notebook_shows_a_row_for_each() -> None:
    html = DecisionTable(DECISIONS)._repr_html_()
    assert html.count("<tr>") == 2
    assert "because &lt;lambda&gt; is slow" in html


def test_without_decisions_it_says_so() -> None:
    table = DecisionTable([])
    assert not table
    assert "no plan has been changed" in repr(table)
    assert repr(table) in table._repr_html_()


def test_it_is_a_sequence_of_what_was_decided() -> None:
    table = DecisionTable(DECISIONS)
    assert [*table] == DECISIONS
    assert table[-1].text == "because <lambda> is slow"
