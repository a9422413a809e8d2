"""The steady 2-D heat equation by Gauss-Seidel, the Cloudknot paper's second example.

First it solves for many random border temperatures on a 10 x 10 grid, which makes many short tasks.
Then it solves for five of them on growing grids, which makes few tasks that become longer.

With `--figure FOLDER` it measures both series with dask_knot, Dask's LocalCluster and Lithops (if
you have it: `pip install lithops`) on the same number of cores. It draws them like the paper's
Figures 2 and 3, next to the published numbers and to what this repository's simulator predicts for
AWS. `--figure docs/images --constraints 1024 --sides 10 25 50 75 100` makes the figures of the
documentation in 4 minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from distributed import Client, LocalCluster
from numpy.typing import NDArray

from dask_knot import KnotCluster

Grid = NDArray[np.float64]
#: Solves so many problems on grids of such a side.
SolveMany = Callable[[int, int], list[Grid]]
#: Seconds by the number of constraints, or by the side.
Points = Mapping[int, float]
#: Both series: the first by constraints, the second by side.
Series = tuple[Points, Points]
#: Constraints of the second series.
FEW = 5
#: Each is measured so often.
TURNS = 2
#: vCPUs that Batch may take at most where it is simulated; Cloudknot's default.
SLOTS = 256


def random_border(seed: int, side: int) -> Grid:
    """Draw temperatures from 0 to 100 for the border of a grid of `side` x `side` inner points."""
    grid = np.random.default_rng(seed).uniform(0, 100, (side + 2, side + 2))
    grid[1:-1, 1:-1] = 0
    return grid


def neighbor_mean(grid: Grid) -> Grid:
    """Average the four neighbors of every inner point."""
    inner: Grid = (grid[:-2, 1:-1] + grid[2:, 1:-1] + grid[1:-1, :-2] + grid[1:-1, 2:]) / 4
    return inner


def residual(grid: Grid) -> float:
    """Give the error of the heat equation at the worst inner point, in degrees."""
    return float(np.abs(neighbor_mean(grid) - grid[1:-1, 1:-1]).max())


def solve(seed: int, side: int, tolerance: float = 1e-8) -> Grid:
    """Solve for the temperatures inside a random border.

    This is Gauss-Seidel in red-black order. Points of one color only have neighbors of the other
    color, so each half sweep is one NumPy expression that reads what the half before it wrote.

    Returns
    -------
    Grid
        Temperatures in degrees, shape ``(side + 2, side + 2)``, border included.
    """
    grid = random_border(seed, side)
    inner = grid[1:-1, 1:-1]
    red = np.indices(inner.shape).sum(axis=0) % 2 == 0
    while residual(grid) > tolerance:
        np.copyto(inner, neighbor_mean(grid), where=red)
        np.copyto(inner, neighbor_mean(grid), where=~red)
    return grid


def solve_all(client: Client, constraints: int, side: int) -> list[Grid]:
    """Solve as many problems of one size as there are constraints, one task each.

    The tasks aren't pure: otherwise a second call would get the results that are already held.
    """
    return list(client.gather(client.map(solve, range(constraints), side=side, pure=False)))


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
        report(client, FEW, side)


@contextmanager
def lithops(workers: int) -> Iterator[SolveMany]:
    """Give a solver that uses Lithops, in processes on this machine."""
    from lithops import FunctionExecutor

    config = {
        "lithops": {"backend": "localhost", "storage": "localhost"},
        # Version 1 has a pool of processes; the newer one starts Python anew for each task.
        "localhost": {"version": 1, "worker_processes": workers, "runtime": sys.executable},
    }
    executor = FunctionExecutor(config=config, log_level="ERROR")

    def solve_many(constraints: int, side: int) -> list[Grid]:
        futures = executor.map(solve, [(seed, side) for seed in range(constraints)])
        return list(executor.get_result(futures, show_progressbar=False))

    try:
        yield solve_many
    finally:
        executor.clean()


def solvers(engine: str | None, held: ExitStack) -> tuple[int, dict[str, SolveMany]]:
    """Open dask_knot, LocalCluster and Lithops, and give the cores and the solver of each."""
    cluster = held.enter_context(KnotCluster(engine=engine))
    cores, found = len(cluster.plan), {"dask_knot": partial(solve_all, enter(cluster, held))}
    workers = LocalCluster(n_workers=cores, threads_per_worker=1, dashboard_address=":0")
    found["LocalCluster"] = partial(solve_all, enter(held.enter_context(workers), held))
    try:
        found["Lithops"] = held.enter_context(lithops(cores))
    except ImportError:
        print("Lithops isn't installed, and left out")
    return cores, found


def enter(cluster: Any, held: ExitStack) -> Client:
    """Open a client of a cluster that isn't the default one."""
    return held.enter_context(Client(cluster, set_as_default=False))


def measure(solve_many: SolveMany, constraints: int, side: int) -> float:
    """Give the seconds that one series' problem takes, to the last result."""
    start = perf_counter()
    grids = solve_many(constraints, side)
    seconds = perf_counter() - start
    assert max(map(residual, grids)) <= 1e-8
    return seconds


def measure_all(
    found: Mapping[str, SolveMany], counts: Sequence[int], sides: Sequence[int]
) -> dict[str, Series]:
    """Measure them in turn, so that all have the same conditions. The best time counts."""
    for solve_many in found.values():
        solve_many(8, 10)  # all is imported and running
    problems = [*((n, 10) for n in counts), *((FEW, side) for side in sides)]
    best: dict[str, list[float]] = {name: [] for name in found}
    for problem in problems:
        turns = [[measure(one, *problem) for one in found.values()] for _ in range(TURNS)]
        for name, seconds in zip(found, map(min, zip(*turns, strict=True)), strict=True):
            best[name].append(seconds)
            print(f"{name:<12} {problem[0]:>11} {problem[1]:>5} {seconds:>8.2f}", flush=True)
    split = len(counts)
    return {
        name: (dict(zip(counts, all_, strict=False)), dict(zip(sides, all_[split:], strict=True)))
        for name, all_ in best.items()
    }


def of_the_repository() -> dict[str, Series]:
    """Give the simulated and the published times.

    Both come with the simulator in dask_knot's repository; without the repository you get neither.
    """
    root = Path(__file__).resolve().parents[1]
    if not (root / "benchmarks" / "simulate").is_dir():
        print("the simulator, which has the paper's points, isn't here: both are left out")
        return {}
    sys.path.insert(0, str(root))
    from benchmarks.simulate.policies import JOB_PER_ELEMENT, OURS, run_policy
    from benchmarks.simulate.published import FIGURE_2, FIGURE_3
    from benchmarks.simulate.workloads import BORDERS, SIDES, heat_map, heat_sides
    from benchmarks.simulate.world import World

    def simulated(policy: str, make: Callable[..., Any], sizes: Sequence[int]) -> Points:
        world = World(slots=SLOTS)
        runs = {n: run_policy(policy, make(n, SLOTS, 0), world, False) for n in sizes}
        return {n: outcome.makespan for n, outcome in runs.items()}

    found = {
        f"{name} (simulated)": (
            simulated(policy, heat_map, BORDERS),
            simulated(policy, heat_sides, SIDES),
        )
        for name, policy in {"dask_knot": OURS, "Cloudknot's rule": JOB_PER_ELEMENT}.items()
    }
    both = {f"{name} (published)": (FIGURE_2[name], FIGURE_3[name]) for name in FIGURE_2}
    return found | both


#: Color, marker and width of each line: who is on both sides looks alike on both. Where two lines
#: are one, the wider one is below.
LOOKS = {
    "Cloudknot's rule": ("lightsalmon", "D", 6),
    "dask_knot": ("tab:blue", "o", 2),
    "LocalCluster": ("tab:gray", "s", 2),
    "Lithops": ("tab:green", "^", 2),
    "Cloudknot, default": ("tab:red", "v", 1),
    "Cloudknot, custom": ("tab:orange", "v", 1),
    "PyWren": ("tab:purple", "P", 1),
}
NOTE = (
    "Simulated: no machine runs before the first task. "
    "Published: SciPy 2018; “custom” kept 512 vCPUs running, PyWren ran on AWS Lambda."
)


def draw(path: Path, number: int, panels: Mapping[str, Mapping[str, Series]]) -> None:
    """Draw one of the paper's figures: seconds by what grows, measured here and on AWS."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

    figure = Figure(figsize=(10, 5.2), layout="constrained")
    all_axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (title, lines) in zip(all_axes, panels.items(), strict=True):
        for name in sorted(lines, key=lambda name: [*LOOKS].index(name.partition(" (")[0])):
            points = lines[name][number - 2]
            color, marker, width = LOOKS[name.partition(" (")[0]]
            style = {"ls": "--", "mfc": "none"} if width == 1 else {"ms": 4 + width}
            style |= {"c": color, "marker": marker, "lw": width, "label": name}
            axes.plot([*points], [*points.values()], **style)
        axes.set_title(title, fontsize=11)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{seconds:,g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        if number == 2:
            axes.set_xscale("log", base=2)
            axes.set_xticks([4**n for n in range(1, 7)], [f"{4**n:,}" for n in range(1, 7)])
            axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(ACROSS[number])
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=9)
    all_axes[0].set_ylabel("seconds to the last result")
    if len(panels) > 1:
        figure.supxlabel(NOTE, fontsize=8, x=0.01, ha="left")
    figure.savefig(path, dpi=150)
    print(path)


ACROSS = {2: "constraints on a 10 x 10 grid", 3: f"side of the grid, for {FEW} constraints"}


def compare(folder: Path, engine: str | None, constraints: int, sides: Sequence[int]) -> None:
    """Measure, and draw the paper's Figures 2 and 3."""
    if find_spec("matplotlib") is None:  # not after minutes of measuring
        sys.exit("figures need matplotlib: pip install 'dask_knot[paper]'")
    folder.mkdir(parents=True, exist_ok=True)
    counts = [4**n for n in range(1, 12) if 4**n <= constraints]
    with ExitStack() as held:
        cores, found = solvers(engine, held)
        panels = {f"measured here, on {cores} cores": measure_all(found, counts, sides)}
    if on_aws := of_the_repository():
        panels[f"on AWS: simulated with {SLOTS} vCPUs, and published"] = on_aws
    for number in ACROSS:
        draw(folder / f"heat-figure-{number}.png", number, panels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", help="what runs the jobs (default: as configured)")
    parser.add_argument("--constraints", type=int, default=64, help="on the 10 x 10 grid")
    parser.add_argument("--sides", type=int, nargs="*", default=[10, 20, 40])
    parser.add_argument("--figure", type=Path, help="measure and draw Figures 2 and 3 here")
    args = parser.parse_args()
    if args.figure:
        if args.constraints < 4 or not args.sides:
            parser.error("a figure needs 4 constraints or more, and a side")
        compare(args.figure, args.engine, args.constraints, args.sides)
        return
    with KnotCluster(engine=args.engine) as cluster, Client(cluster) as client:
        run(client, args.constraints, args.sides)


if __name__ == "__main__":
    main()
