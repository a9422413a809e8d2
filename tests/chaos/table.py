"""The table of outcomes by fault."""

from __future__ import annotations

from collections.abc import Sequence

from tests.chaos.faults import FAULTS
from tests.chaos.run import Outcome

RESULTS = ("right", "typed", "untyped", "wrong", "hang", "died")
COLUMNS = ("graphs", "struck", *RESULTS, "left", "seconds", "must be")


def table(outcomes: Sequence[Outcome]) -> str:
    """Draw it: a row for each fault, those that were as they should be without a mark.

    ``struck`` counts the graphs in which the fault struck at all, ``left`` those that left
    something behind, ``seconds`` is the longest that one took.
    """
    rows = [("fault", *COLUMNS)]
    for name in FAULTS:
        found = [one for one in outcomes if one.fault == name]
        if found:
            rows.append(_row(name, found, "right" if FAULTS[name].heals else "right or typed"))
    rows.append(_row("all", outcomes, ""))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            [cells[0].ljust(widths[0]), *map(str.rjust, cells[1:-1], widths[1:-1]), cells[-1]]
        ).rstrip()
        for cells in rows
    )


def _row(name: str, found: Sequence[Outcome], must_be: str) -> tuple[str, ...]:
    mark = "" if all(one.is_good for one in found) else " (!)"
    counts = [sum(one.result == result for one in found) for result in RESULTS]
    numbers = [len(found), sum(one.struck > 0 for one in found), *counts]
    numbers.append(sum(bool(one.left) for one in found))
    longest = max((one.seconds for one in found), default=0.0)
    return (name + mark, *(str(number or ".") for number in numbers), f"{longest:.1f}", must_be)


def explained(outcomes: Sequence[Outcome]) -> str:
    """Say of each outcome that is not as it should be how to see it again, and what it was."""
    return "\n".join(_explained(one) for one in outcomes if not one.is_good)


def _explained(one: Outcome) -> str:
    left = "".join(f"   left: {what}\n" for what in one.left)
    return (
        f"\n== {one.fault}: {one.result} ({one.graph}), struck {one.struck} times\n"
        f"   python -m tests.chaos --graphs 1 --seed {one.seed} --only {one.fault!r}\n"
        f"{left}{one.detail}"
    )
