"""A map of very many items: `python -m benchmarks.knot`.

A function that does next to nothing is mapped by a `Knot` on this machine. It prints the seconds
until all items are done, those until all values are here, how busy the client's process was
meanwhile, and the most memory that it had.
"""

from __future__ import annotations

import argparse
import tempfile
import time

import psutil

from dask_knot import Knot


def increment(number: int) -> int:
    """Do next to nothing."""
    return number + 1


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.knot", description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000, help="so many items")
    parser.add_argument("--generator", action="store_true", help="which a generator gives")
    args = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as store,
        Knot("benchmark", increment, store=store, progress=False) as knot,
    ):
        items = range(args.items)
        start, busy = time.perf_counter(), time.process_time()
        future = knot.map(iter(items) if args.generator else items)
        assert future.exception() is None
        done, used = time.perf_counter() - start, time.process_time() - busy
        assert future.result() == list(range(1, args.items + 1))
        print(f"items {args.items:,}  done {done:.1f} s  here {time.perf_counter() - start:.1f} s")
    memory = psutil.Process().memory_info()
    peak = getattr(memory, "peak_wset", None) or _peak()
    print(f"processor time of the client {used:.1f} s, its memory at most {peak / 1e6:.0f} MB")


def _peak() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
