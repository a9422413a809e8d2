"""Changes to plans while they run, for people: text in a terminal, HTML in a notebook."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from html import escape

from dask_knot.session.decisions import Decision

_NONE = "no plan has been changed while it ran"


class DecisionTable(Sequence[Decision]):
    """The last changes to plans while they ran, newest last.

    Parameters
    ----------
    decisions : sequence of Decision
        All that are remembered, the oldest first.
    """

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self._decisions = decisions

    def __len__(self) -> int:
        return len(self._decisions)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self._decisions[index]

    def __iter__(self) -> Iterator[Decision]:
        return iter(self._decisions)

    def __repr__(self) -> str:
        return "\n".join(f"{clock(each)}  {each.text}" for each in self) or _NONE

    def _repr_html_(self) -> str:
        if not self._decisions:
            return f"<p>{_NONE}</p>"
        rows = [
            f"<tr><td>{clock(each)}</td><td style='text-align:left'>{escape(each.text)}</td></tr>"
            for each in self
        ]
        return f"<table>{''.join(rows)}</table>"


def clock(decision: Decision) -> str:
    """Tell when it was made, by the clock on this machine's wall."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(decision.when))
