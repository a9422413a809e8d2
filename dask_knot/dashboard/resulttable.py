"""A table of a run's results, for people: text in a terminal, HTML in a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from dask.typing import Key
from dask.utils import format_bytes

from dask_knot.plural import many
from dask_knot.session.results import Result, Results

#: Rows that are shown; iterate over the table to see all.
SHOWN = 50
_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


class ResultTable(Sequence[Result]):
    """The keys that a run was asked for, newest first; each is read when it is looked at.

    Parameters
    ----------
    results : Results
        All of them. Those that are shown are read at once.
    """

    def __init__(self, results: Results) -> None:
        self._results = results
        self._shown: list[Result] = results[:SHOWN]

    def __len__(self) -> int:
        return len(self._results)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self._results[index]

    def __iter__(self) -> Iterator[Result]:
        return iter(self._results)

    @property
    def keys(self) -> list[Key]:
        """All keys, the newest first."""
        return self._results.keys

    def __repr__(self) -> str:
        if not self._results:
            return "no results yet"
        cells = self._cells()
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
            for row in cells
        ]
        return "\n".join([*lines, *self._rest()])

    def _repr_html_(self) -> str:
        if not self._results:
            return "no results yet"
        head, *body = self._cells()
        rows = ["<tr>" + "".join(f"<th>{escape(c)}</th>" for c in head) + "</tr>"]
        rows += ["<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in body]
        rest = "".join(f"<p>{escape(line)}</p>" for line in self._rest())
        return f"<table>{''.join(rows)}</table>{rest}"

    def _cells(self) -> list[list[str]]:
        return [["key", "state", "type", "size", "age"]] + [
            [
                str(result.key),
                result.state.value,
                result.type,
                format_bytes(result.nbytes) if result.nbytes else "",
                words_of(result.age),
            ]
            for result in self._shown
        ]

    def _rest(self) -> list[str]:
        left = len(self) - len(self._shown)
        return [f"({many('earlier key', left)})"] if left else []


def words_of(seconds: float) -> str:
    """Say how long ago something was."""
    for name, unit in _UNITS:
        if seconds >= unit:
            return many(name, int(seconds // unit))
    return "now"
