"""Estimates beside what then happened: `python -m benchmarks.estimates`.

Functions whose time and memory are known, on this machine. Each case is estimated on a new cluster
from a few tasks, then computed on it: the time from `compute` to the last result, and the
seconds of all jobs times their vCPUs, which would be paid for, are compared with what was said.
For memory the size that was chosen is compared with the least that fits, and tasks are run in
jobs of that size, and in the next smaller one, that must not retry.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import dask
from dask import delayed
from distributed import Client

from dask_knot import KnotCluster
from dask_knot.errors import KnotError
from dask_knot.estimates.forecast import Forecast
from dask_knot.estimates.sizes import LOCAL_STEPS

MIB = 2**20
PAGE = 4096
#: Set in the environment of a process in which `starting` has run.
STARTED = "DASK_KNOT_BENCHMARK_STARTED"
#: An estimate is good if it is off by less than this part.
GOOD = 0.25


def constant(_: int) -> None:
    """Take a quarter of a second."""
    time.sleep(0.25)


def growing(steps: int) -> None:
    """Take longer with a larger number."""
    time.sleep(0.01 * steps)


def reading(data: bytes) -> int:
    """Take longer with more bytes."""
    time.sleep(len(data) / MIB)
    return len(data)


def summed(parts: Sequence[int]) -> int:
    """Read what all others have made."""
    return sum(parts)


def load(mebibytes: int) -> bytearray:
    """Make so much, and take some time for it."""
    time.sleep(0.002 * mebibytes)
    return touched(mebibytes)


def refine(data: bytearray) -> int:
    """Take time by what was made before."""
    time.sleep(0.05 + 0.006 * len(data) / MIB)
    return len(data)


def heavy(_: int, mebibytes: int) -> int:
    """Have so much memory for a moment."""
    data = touched(mebibytes)
    time.sleep(0.5)
    return len(data)


def touched(mebibytes: int) -> bytearray:
    """Make so many bytes, and write to each page."""
    data = bytearray(mebibytes * MIB)
    data[::PAGE] = b"x" * len(data[::PAGE])
    return data


def hashing(number: int) -> str:
    """Compute with as many threads as the job has cores."""
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    parts = [number.to_bytes(8, "little") * MIB] * 24
    with ThreadPoolExecutor(threads) as pool:
        return "".join(pool.map(lambda part: hashlib.sha256(part).hexdigest(), parts))[:8]


def importing(number: int) -> float:
    """Import something large, as tasks of other people do, and compute for a fifth of a second."""
    import numpy as np

    drawn = np.random.default_rng(number).random((2, 500_000))
    time.sleep(0.15)
    return float(4 * np.mean((drawn**2).sum(axis=0) < 1))


def starting(number: int) -> int:
    """Take a second longer when called for the first time in a process."""
    if STARTED not in os.environ:
        time.sleep(1.0)
        os.environ[STARTED] = "1"
    time.sleep(0.2)
    return number


class Case(NamedTuple):
    """Something that is estimated, then computed."""

    name: str
    make: Callable[[], list[Any]]
    sample: int = 3


def cases() -> list[Case]:
    """Give all of them."""
    drawn = random.Random(7)
    skewed = [int(MIB * min(8.0, drawn.lognormvariate(-1.5, 1.2))) for _ in range(60)]
    shuffled = drawn.sample(range(80), 80)

    def pipeline() -> list[Any]:
        loaded = [delayed(load)(20 + 5 * part) for part in range(30)]
        return [delayed(summed)([delayed(refine)(one) for one in loaded])]

    return [
        Case("constant", lambda: [delayed(constant)(i) for i in range(80)]),
        Case("growing", lambda: [delayed(growing)(i) for i in range(80)]),
        Case("growing, shuffled", lambda: [delayed(growing)(i) for i in shuffled]),
        Case("skewed by input", lambda: [delayed(reading)(b"x" * n) for n in skewed]),
        Case("skewed by input, 5", lambda: [delayed(reading)(b"x" * n) for n in skewed], 5),
        Case("pipeline", pipeline),
        Case("imports", lambda: [delayed(importing)(i) for i in range(80)]),
        Case("starts cold", lambda: [delayed(starting)(i) for i in range(80)]),
        Case("threads", lambda: [delayed(hashing)(i) for i in range(30)]),
    ]


class Outcome(NamedTuple):
    """What was said, and what happened."""

    name: str
    said: float
    took: float
    said_vcpu: float
    took_vcpu: float
    trial: float

    @property
    def off(self) -> float:
        """By how much the time was off, as a part of what it took."""
        return self.said / self.took - 1

    @property
    def off_vcpu(self) -> float:
        """By how much the cost was off."""
        return self.said_vcpu / self.took_vcpu - 1


def run(case: Case) -> Outcome:
    """Estimate a case, then compute it."""
    with KnotCluster(dashboard_address=None, progress=False) as cluster, Client(cluster):
        work = case.make()
        began = time.perf_counter()
        forecast: Forecast = cluster.estimate(*work, sample=case.sample)
        tried = time.perf_counter() - began
        assert forecast.seconds is not None
        began = time.perf_counter()
        dask.compute(*work)
        took = time.perf_counter() - began
        paid = cluster.cost().vcpu_hours * 3600
    return Outcome(case.name, forecast.seconds, took, forecast.vcpu_seconds, paid, tried)


class Fit(NamedTuple):
    """The size that was chosen for tasks of so much memory."""

    mebibytes: int
    sample: int
    peak: int
    chosen: int
    least: int
    runs: bool
    runs_in_less: bool


def fit(mebibytes: int, sample: int) -> Fit:
    """Choose the size for tasks that have so much memory, and run some in it and in the next."""
    with KnotCluster(dashboard_address=None, progress=False) as cluster:
        work = [delayed(heavy)(i, mebibytes) for i in range(20)]
        forecast: Forecast = cluster.estimate(*work, sample=sample)
        [row] = forecast.rows
        assert row.size is not None
        chosen = row.size.memory
    ladder = [*LOCAL_STEPS]
    return Fit(
        mebibytes,
        sample,
        row.peak // MIB,
        chosen // MIB,
        next(size for size in ladder if size >= row.peak) // MIB,
        runs_in(chosen, mebibytes),
        runs_in(ladder[max(0, ladder.index(chosen) - 1)], mebibytes),
    )


def runs_in(memory: int, mebibytes: int) -> bool:
    """Tell whether tasks of so much memory run in jobs of a size."""
    options = {"dashboard_address": None, "progress": False, "memory_retries": 0}
    with KnotCluster(memory=memory, **options) as cluster, Client(cluster):
        try:
            dask.compute(*[delayed(heavy)(i, mebibytes) for i in range(4)])
        except KnotError:
            return False
    return True


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimates", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these cases only")
    parser.add_argument("--sizes", nargs="*", type=int, default=[50, 100, 200, 400, 800])
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    outcomes, fits = [], []
    print("| case | said | took | off | vCPU-s said | took | off | tried for |")
    for case in cases():
        if args.only is None or case.name in args.only:
            one = run(case)
            outcomes.append(one)
            print(
                f"| {one.name} | {one.said:.1f} s | {one.took:.1f} s | {one.off:+.0%} | "
                f"{one.said_vcpu:.1f} | {one.took_vcpu:.1f} | {one.off_vcpu:+.0%} | "
                f"{one.trial:.1f} s |",
                flush=True,
            )
    if args.sizes:
        print("\n| task | sample | peak | chosen | least step | runs in it | in the next smaller |")
    for mebibytes in args.sizes:
        for sample in (3, 5):
            found = fit(mebibytes, sample)
            fits.append(found)
            print(
                f"| {mebibytes} MiB | {sample} | {found.peak} MiB | {found.chosen} MiB | "
                f"{found.least} MiB | {found.runs} | {found.runs_in_less} |",
                flush=True,
            )
    bad = [one.name for one in outcomes if max(abs(one.off), abs(one.off_vcpu)) > GOOD]
    print(f"\noff by more than {GOOD:.0%}: {', '.join(bad) or 'none'}")
    if args.json:
        args.json.write_text(json.dumps([one._asdict() for one in (*outcomes, *fits)], indent=1))


if __name__ == "__main__":
    main()
