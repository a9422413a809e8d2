"""``python -m tests.chaos``: many random graphs under random faults, and the table of outcomes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from tests.chaos.crew import compute
from tests.chaos.faults import FAULTS
from tests.chaos.table import explained, table


def main(arguments: Sequence[str] | None = None) -> int:
    """Compute graphs under faults; 0 if all outcomes are as they should be."""
    given = _parser().parse_args(arguments)
    names = chosen(given.only)
    seeds = range(given.seed, given.seed + given.graphs)
    wanted = [(seed, names[place % len(names)]) for place, seed in enumerate(seeds)]
    outcomes = []
    for number, outcome in enumerate(compute(wanted, given.processes, given.deadline), 1):
        outcomes.append(outcome)
        if sys.stderr.isatty():
            bad = sum(not one.is_good for one in outcomes)
            sys.stderr.write(f"\r{number} of {len(wanted)} graphs, {bad} not as they should be")
        if not outcome.is_good:
            print(explained([outcome]), flush=True)
    print()
    print(table(outcomes))
    bad = [one for one in outcomes if not one.is_good]
    print(f"\n{len(outcomes)} graphs, {len(bad)} not as they should be")
    return 1 if bad else 0


def chosen(only: Sequence[str]) -> list[str]:
    """Name faults by their names or by words in them; all of them without any."""
    exact = {word for word in only if word in FAULTS}
    parts = [word for word in only if word not in FAULTS]
    names = [n for n in FAULTS if not only or n in exact or any(word in n for word in parts)]
    if not names:
        raise SystemExit(f"no fault is called {only}; there are: {', '.join(FAULTS)}")
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--graphs", type=int, default=len(FAULTS), help="how many")
    parser.add_argument("--seed", type=int, default=0, help="the first graph's; then one by one")
    parser.add_argument("--only", action="append", default=[], metavar="FAULT", help="name or part")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="at once")
    parser.add_argument("--deadline", type=float, default=60.0, help="seconds for one graph")
    return parser


if __name__ == "__main__":
    sys.exit(main())
