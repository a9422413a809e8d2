"""A Monte Carlo estimate of pi from 100 x a million points, the Cloudknot paper's first example."""

from __future__ import annotations

import argparse

import numpy as np
from distributed import Client

from dask_knot import KnotCluster


def count_inside(seed: int, samples: int) -> int:
    """Count the random points of the unit square that fall inside the unit circle."""
    x, y = np.random.default_rng(seed).random((2, samples))
    return int(np.count_nonzero(x * x + y * y <= 1))


def estimate(client: Client, tasks: int, samples: int) -> float:
    """Estimate pi from `tasks` independent tasks of `samples` points each."""
    futures = client.map(count_inside, range(tasks), samples=samples)
    inside = sum(client.gather(futures))
    return float(4 * inside / (tasks * samples))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", help="what runs the jobs (default: as configured)")
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--samples", type=int, default=1_000_000, help="points per task")
    args = parser.parse_args()
    with KnotCluster(engine=args.engine) as cluster, Client(cluster) as client:
        print(f"pi ≈ {estimate(client, args.tasks, args.samples):.4f}")


if __name__ == "__main__":
    main()
