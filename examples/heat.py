"""Steady 2-D heat equation by Gauss-Seidel: the Cloudknot paper's second example.

First many random temperatures of the border on one 10 x 10 grid, then five of them on growing
grids: short tasks in number, then few tasks that grow.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from time import perf_counter

import numpy as np
from distributed import Client
from numpy.typing import NDArray

from dask_knot import KnotCluster

Grid = NDArray[np.float64]


def random_border(seed: int, side: int) -> Grid:
    """Draw temperatures from 0 to 100 for the border of a grid of `side` x `side` inner points."""
    grid = np.random.default_rng(seed).uniform(0, 100, (side + 2, side + 2))
    grid[1:-1, 1:-1] = 0
    return grid


def neighbour_mean(grid: Grid) -> Grid:
    """Average the four neighbours of every inner point."""
    inner: Grid = (grid[:-2, 1:-1] + grid[2:, 1:-1] + grid[1:-1, :-2] + grid[1:-1, 2:]) / 4
    return inner


def residual(grid: Grid) -> float:
    """Say by how much the heat equation is missed at the worst inner point, in degrees."""
    return float(np.abs(neighbour_mean(grid) - grid[1:-1, 1:-1]).max())


def solve(seed: int, side: int, tolerance: float = 1e-8) -> Grid:
    """Solve for the temperatures inside a random border.

    Gauss-Seidel in red-black order: points of one colour have neighbours of the other colour only,
    so each half sweep is one numpy expression that reads what the half before has just written.

    Returns
    -------
    Grid
        Temperatures in degrees, shape ``(side + 2, side + 2)``, border included.
    """
    grid = random_border(seed, side)
    inner = grid[1:-1, 1:-1]
    red = np.indices(inner.shape).sum(axis=0) % 2 == 0
    while residual(grid) > tolerance:
        np.copyto(inner, neighbour_mean(grid), where=red)
        np.copyto(inner, neighbour_mean(grid), where=~red)
    return grid


def solve_all(client: Client, constraints: int, side: int) -> list[Grid]:
    """Solve as many problems of one size as there are constraints, one task each."""
    return list(client.gather(client.map(solve, range(constraints), side=side)))


def report(client: Client, constraints: int, side: int) -> None:
    """Solve, then print the time taken and the worst residual of all solutions."""
    start = perf_counter()
    worst = max(residual(grid) for grid in solve_all(client, constraints, side))
    seconds = perf_counter() - start
    print(f"{constraints:>11} {side:>5} {seconds:>8.2f} {worst:>13.1e}", flush=True)


def run(client: Client, constraints: int, sides: Sequence[int]) -> None:
    """Print the paper's two series as one table."""
    print("constraints  side  seconds  max residual")
    report(client, constraints, 10)
    for side in sides:
        report(client, 5, side)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", help="what runs the jobs (default: as configured)")
    parser.add_argument("--constraints", type=int, default=64, help="on the 10 x 10 grid")
    parser.add_argument("--sides", type=int, nargs="*", default=[10, 20, 40])
    args = parser.parse_args()
    with KnotCluster(engine=args.engine) as cluster, Client(cluster) as client:
        run(client, args.constraints, args.sides)


if __name__ == "__main__":
    main()
