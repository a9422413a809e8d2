"""The mean of x + x.T for a large random dask.array, in which every task needs others."""

from __future__ import annotations

import argparse

import dask.array as da
from distributed import Client

from dask_knot import KnotCluster


def build(side: int, chunk: int) -> da.Array:
    """Describe the mean of ``x + x.T``. Nothing runs yet."""
    x = da.random.default_rng(0).random((side, side), chunks=(chunk, chunk))
    return (x + x.T).mean()


def array_mean(client: Client, side: int, chunk: int) -> float:
    """Compute the mean; for uniform numbers from 0 to 1 it is close to 1."""
    return float(client.compute(build(side, chunk)).result())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", help="what runs the jobs (default: as configured)")
    parser.add_argument("--side", type=int, default=4000, help="rows and columns of x")
    parser.add_argument("--chunk", type=int, default=500, help="rows and columns of a chunk")
    args = parser.parse_args()
    with KnotCluster(engine=args.engine) as cluster, Client(cluster) as client:
        print(f"mean of x + x.T: {array_mean(client, args.side, args.chunk):.5f}")


if __name__ == "__main__":
    main()
