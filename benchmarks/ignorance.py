"""Plans made in ignorance: `python -m benchmarks.ignorance`.

Tasks that sleep, on a new cluster each time, so that nobody knows how long they take; the numbers
of AWS a thousand times faster, with 16 slots. No plan can be faster than the longest chain of
tasks, nor than all work shared out over the slots: the larger of both is the bound, and what is
printed is the time from `compute` to the last result over that bound.

The last case is worse than ignorance: the same function was quick before, so what is known is
wrong.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import dask
from dask import delayed
from distributed import Client

from dask_knot import KnotCluster

SLOTS = 16
#: Those of `knot.aws`, a thousand times faster; parts as often as this machine can write them.
NUMBERS = {
    "knot.local.job-start": "60ms",
    "knot.local.target": "240ms",
    "knot.local.shards-per-slot": 2,
    "knot.part-interval": "50ms",
}


def nap(seconds: float, *_: object) -> float:
    """Take so long."""
    time.sleep(seconds)
    return seconds


def warm(_: int) -> None:
    """Do nothing, where a job's imports are done."""


class Case(NamedTuple):
    """Naps that begin together, perhaps behind one short step that all of them read."""

    name: str
    naps: Sequence[float]
    first: float | None = None
    believed: float | None = None

    @property
    def bound(self) -> float:
        """The least number of seconds that any plan takes."""
        first = self.first or 0.0
        return max(first + max(self.naps), (first + sum(self.naps)) / SLOTS)


CASES = [
    Case("4 tasks of 1.8 s", [1.8] * 4),
    Case("25 tasks of 3.6 s", [3.6] * 25),
    Case("180 tasks of 100 ms, then 20 of 1 s", [0.1] * 180 + [1.0] * 20),
    Case("1 ms, read by 40 tasks of 1 s", [1.0] * 40, first=0.001),
    Case("40 tasks of 1 s that took 1 ms before", [1.0] * 40, believed=0.001),
    # Two rounds of the long ones take 1.36 of its bound, whoever plans.
    Case("180 tasks of 20 ms, then 20 of 1 s", [0.02] * 180 + [1.0] * 20),
]


@contextmanager
def cluster() -> Iterator[tuple[KnotCluster, Client]]:
    """Open a cluster that knows nothing but how to start jobs."""
    with (
        dask.config.set(NUMBERS),
        KnotCluster(
            engine="local", jobs=SLOTS, cores=1, dashboard_address=None, progress=False
        ) as opened,
        Client(opened) as client,
    ):
        client.gather(client.map(warm, range(SLOTS), pure=False))
        yield opened, client


def measure(case: Case) -> tuple[float, int]:
    """Compute a case once; give its seconds, and the jobs that it took."""
    with cluster() as (opened, client):
        if case.believed is not None:
            client.gather(client.map(nap, [case.believed] * SLOTS, pure=False))
        before = len(opened.jobs)
        # Another name than what is timed: how long the first step takes says nothing of the second.
        first = [] if case.first is None else [delayed(time.sleep, pure=False)(case.first)]
        tasks = [delayed(nap, pure=False)(seconds, *first) for seconds in case.naps]
        start = time.perf_counter()
        results = dask.compute(*tasks)
        seconds = time.perf_counter() - start
        assert list(results) == list(case.naps)
        return seconds, sum(row.size for row in opened.jobs[before:])


def table(found: dict[str, list[tuple[float, int]]]) -> str:
    """Show medians, and what they are over the bound."""
    lines = ["| case | bound, s | median, s | / bound | worst / bound | jobs |"]
    lines.append("| --- " * 6 + "|")
    for case in CASES:
        if rounds := found.get(case.name):
            seconds = [each for each, _ in rounds]
            middle = statistics.median(seconds)
            jobs = statistics.median_high(count for _, count in rounds)
            lines.append(
                f"| {case.name} | {case.bound:.2f} | {middle:.2f} | {middle / case.bound:.2f} "
                f"| {max(seconds) / case.bound:.2f} | {jobs} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ignorance", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="times each case runs")
    parser.add_argument("--only", type=int, nargs="+", metavar="N", help="these cases only, from 1")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every time to this file")
    args = parser.parse_args()
    chosen = [CASES[number - 1] for number in args.only] if args.only else CASES
    found: dict[str, list[tuple[float, int]]] = {}
    try:
        for _ in range(args.rounds):
            for case in chosen:
                found.setdefault(case.name, []).append(measure(case))
    finally:
        print(table(found))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
