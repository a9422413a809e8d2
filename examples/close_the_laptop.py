"""A named run: stop this program whenever you like, start it again, and it computes only the rest.

On AWS the jobs don't even notice. On this machine they stop with the program, but finished tasks
count.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from dask import delayed
from dask.delayed import Delayed
from distributed import Client

from dask_knot import KnotCluster

DAYS = 30


def observe(month: int, day: int, seconds: float) -> float:
    """Take a while to find the temperature of a day, in degrees."""
    time.sleep(seconds)
    return 10 - 12 * abs(month % 12 - 6) / 6 - month // 12 / 10 + day % 7


def average(temperatures: Sequence[float]) -> float:
    """Give the mean of some temperatures."""
    return sum(temperatures) / len(temperatures)


def warmest(months: Sequence[float]) -> tuple[int, float]:
    """Give the number of the warmest month, and its temperature."""
    temperature, month = max((temperature, month) for month, temperature in enumerate(months))
    return month, temperature


def build(months: int, seconds: float) -> Delayed:
    """Describe the work: days, the means of their months, the warmest month. Nothing runs yet."""
    day, mean = delayed(observe, pure=True), delayed(average, pure=True)
    means = [mean([day(month, n, seconds) for n in range(DAYS)]) for month in range(months)]
    return delayed(warmest, pure=True)(means)


def find_warmest(client: Client, months: int, seconds: float) -> tuple[int, float]:
    """Compute what isn't done yet, and give the warmest month and its temperature."""
    month, temperature = client.compute(build(months, seconds)).result()
    return month, temperature


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", help="what runs the jobs (default: as configured)")
    parser.add_argument("--name", default="laptop", help="name of the run")
    parser.add_argument("--months", type=int, default=120)
    parser.add_argument("--seconds", type=float, default=0.01, help="what a day takes")
    args = parser.parse_args()
    with KnotCluster(engine=args.engine, name=args.name) as cluster, Client(cluster) as client:
        start = time.perf_counter()
        month, temperature = find_warmest(client, args.months, args.seconds)
        took = time.perf_counter() - start
        print(f"warmest is month {month} with {temperature:.2f} degrees, after {took:.1f} s")


if __name__ == "__main__":
    main()
