"""The runs of a table: every workload with every policy in worlds of every size."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from benchmarks.simulate.bound import Bound, bound_of
from benchmarks.simulate.policies import OURS, POLICIES, run_policy
from benchmarks.simulate.shapes import Shape
from benchmarks.simulate.workloads import WORKLOADS
from benchmarks.simulate.world import Outcome, Workload, World

#: What a table has unless told otherwise: the paper's figures by their ends, no million tasks.
USUAL = (
    *("fig2-4", "fig2-256", "fig2-4096", "fig3-10", "fig3-175", "fig4-1", "fig4-25"),
    *("sorted", "lognormal", "pareto", "two-steps", "arguments"),
    *("array-mean", "climatology", "rechunk", "tall-svd"),
)
QUICK = ("fig2-256", "fig4-25", "sorted", "two-steps", "tall-svd")


@dataclass(frozen=True)
class Grid:
    """What a table is to have; `known` has False for unknown durations, True for known ones."""

    workloads: Sequence[str] = USUAL
    slots: Sequence[int] = (16, 256)
    policies: Sequence[str] = POLICIES
    known: Sequence[bool] = (False, True)
    spot: Sequence[bool] = (False,)
    seed: int = 0


@dataclass(frozen=True)
class Run:
    """One workload, run by one policy in one world; `known` is None where nobody asks."""

    workload: str
    policy: str
    slots: int
    known: bool | None
    spot: bool
    is_short: bool
    bound: Bound
    outcome: Outcome

    @property
    def ratio(self) -> float:
        """The makespan over the bound."""
        return self.outcome.makespan / self.bound.seconds

    @property
    def name(self) -> str:
        """The policy, and whether it knew."""
        knew = {None: "", False: ", unknown", True: ", known"}[self.known]
        return f"{self.policy}{knew}"


def run_grid(grid: Grid, processes: int = 1) -> Iterator[Run]:
    """Run all of a grid, so many workloads at once, and say on stderr how far it is."""
    cases = [(name, slots) for slots in grid.slots for name in grid.workloads]
    if processes == 1:
        for case in cases:
            yield from run_case(case, grid)
        return
    with ProcessPoolExecutor(processes) as pool:
        for runs in pool.map(partial(run_case, grid=grid), cases):
            yield from runs


def run_case(case: tuple[str, int], grid: Grid) -> list[Run]:
    """Run one workload on so many slots by all policies."""
    name, slots = case
    workload = WORKLOADS[name](slots, grid.seed)
    return [
        run
        for spot in grid.spot
        for run in run_policies(
            workload, World(slots=slots, spot=spot, seed=grid.seed), grid.policies, grid.known
        )
    ]


def run_policies(
    workload: Workload, world: World, policies: Sequence[str], known: Sequence[bool]
) -> Iterator[Run]:
    """Run one workload in one world by several policies."""
    shape = Shape(workload, world.numbers)
    bound, is_short = bound_of(shape, world.slots), shape.is_short
    for policy in policies:
        for knows in known if policy == OURS else (None,):
            empty = Outcome(0, 0, 0, 0, 0, {}, {})
            run = Run(workload.name, policy, world.slots, knows, world.spot, is_short, bound, empty)
            started = time.perf_counter()
            outcome = run_policy(policy, workload, world, bool(knows))
            run = replace(run, outcome=outcome)
            seconds = time.perf_counter() - started
            print(
                f"{run.workload}, {run.slots} slots, {run.name}: "
                f"{run.ratio:.2f} of the bound (simulated in {seconds:.1f} s)",
                file=sys.stderr,
            )
            yield run
