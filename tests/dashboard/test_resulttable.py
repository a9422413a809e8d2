"""A run's results as people see them: the newest, and how many more there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from dask_knot.dashboard.resulttable import SHOWN, ResultTable, words_of
from dask_knot.session.results import Result, ResultState


class Read(Sequence[Result]):
    """Results that note which of them were read."""

    def __init__(self, *results: Result) -> None:
        self.results = results
        self.read = 0

    def __len__(self) -> int:
        return len(self.results)

    def __getitem__(self, index: Any) -> Any:
        found = self.results[index]
        self.read += len(found) if isinstance(found, tuple) else 1
        return list(found) if isinstance(found, tuple) else found

    def __iter__(self) -> Iterator[Result]:
        return iter(self.results)

    @property
    def keys(self) -> list[Any]:
        """All keys."""
        return [result.key for result in self.results]


def table(*results: Result) -> ResultTable:
    read: Any = Read(*results)
    return ResultTable(read)


RESULTS = [
    Result(("x", 0), ResultState.STORED, "numpy.ndarray", 3 * 2**20, 7300.0, 0),
    Result("<mean>", ResultState.FAILED, age=61.0),
    Result("late", ResultState.RUNNING),
]


def test_text() -> None:
    assert repr(table(*RESULTS)).splitlines() == [
        "key       state    type           size      age",
        "('x', 0)  stored   numpy.ndarray  3.00 MiB  2 hours",
        "<mean>    failed                            1 minute",
        "late      running                           now",
    ]


def test_html() -> None:
    html = table(*RESULTS)._repr_html_()
    assert "<td>&lt;mean&gt;</td><td>failed</td>" in html
    assert html.count("<tr>") == 4


def test_nothing_yet() -> None:
    assert repr(table()) == table()._repr_html_() == "no results yet"


def test_it_is_a_sequence() -> None:
    found = table(*RESULTS)
    assert (len(found), found[0], list(found), found.keys) == (
        3,
        RESULTS[0],
        RESULTS,
        [("x", 0), "<mean>", "late"],
    )


def test_of_many_only_what_is_shown_is_read() -> None:
    many = Read(*(Result(f"key-{n}", ResultState.STORED) for n in range(SHOWN + 2)))
    results: Any = many
    found = ResultTable(results)
    lines = repr(found).splitlines()
    assert (len(lines), lines[-1]) == (SHOWN + 2, "(2 earlier keys)")
    assert "(2 earlier keys)" in found._repr_html_()
    assert many.read == SHOWN


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5.0, "now"), (0.5, "now"), (59, "59 seconds"), (3600, "1 hour"), (200_000, "2 days")],
)
def test_ages(seconds: float, words: str) -> None:
    assert words_of(seconds) == words
