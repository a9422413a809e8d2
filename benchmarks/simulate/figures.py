"""The paper's Figures 2, 3 and 4: our plans and its rule, simulated, beside what it published."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.simulate import published
from benchmarks.simulate.chart import Chart, Line
from benchmarks.simulate.policies import JOB_PER_ELEMENT, OURS, run_policy
from benchmarks.simulate.workloads import BORDERS, SIDES, heat_map, heat_sides, subjects
from benchmarks.simulate.world import Workload, World

#: vCPUs at most, by Cloudknot's defaults.
SLOTS = 256
#: Of one subject in Figure 4, from the 1,272 s that two of them took.
SUBJECT_SECONDS = 1200.0
_NOTE = "Simulated: 256 slots, no instance runs before. Published: SciPy 2018, on AWS as it was."

#: What is drawn of each policy: its name there, the policy, and whether durations are known.
DRAWN = (
    ("dask_knot, durations unknown", OURS, False),
    ("dask_knot, durations known", OURS, True),
    ("a job per element, simulated", JOB_PER_ELEMENT, False),
)


def write_figures(
    folder: Path, seed: int = 0, drawn: Sequence[tuple[str, str, bool]] = DRAWN
) -> None:
    """Simulate, and write ``figure-2.svg``, ``figure-3.svg`` and ``figure-4.svg``."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, title, across, makers, found in _figures(seed):
        lines = [Line(name, points, True) for name, points in found.items()]
        simulated = [_simulate(name, policy, known, makers, seed) for name, policy, known in drawn]
        chart = Chart(f"Figure {number}: {title}", across, [*simulated, *lines], _NOTE)
        (folder / f"figure-{number}.svg").write_text(chart.svg())
        print(f"{folder}/figure-{number}.svg", file=sys.stderr)


Makers = Mapping[int, Callable[[], Workload]]


def _figures(seed: int) -> list[tuple[int, str, str, Makers, Mapping[str, published.Points]]]:
    brains = sorted({x for points in published.FIGURE_4.values() for x in points})
    subject = partial(subjects, slots=SLOTS, seed=seed, seconds=SUBJECT_SECONDS)
    return [
        (
            2,
            "many short tasks",
            "borders of a 10 x 10 grid",
            {n: partial(heat_map, n, SLOTS, seed) for n in BORDERS},
            published.FIGURE_2,
        ),
        (
            3,
            "five tasks that grow",
            "side of the grid",
            {side: partial(heat_sides, side, SLOTS, seed) for side in SIDES},
            published.FIGURE_3,
        ),
        (
            4,
            "subjects of about 20 minutes",
            "subjects",
            {n: partial(subject, n) for n in brains},
            published.FIGURE_4,
        ),
    ]


def _simulate(name: str, policy: str, known: bool, makers: Makers, seed: int) -> Line:
    world = World(slots=SLOTS, seed=seed)
    outcomes = {x: run_policy(policy, make(), world, known) for x, make in makers.items()}
    return Line(name, {x: outcome.makespan for x, outcome in outcomes.items()})
