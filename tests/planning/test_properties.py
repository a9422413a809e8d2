"""What holds for the plan of any graph."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from dask_knot.planning import Cost, Limits, PlanRequest, Resources, make_plan

from .graphs import Dependencies, check_plan

PREFIXES = ("load", "add", "sum", "fit")
LIMITS = st.builds(
    Limits,
    slots=st.integers(1, 5),
    shards_per_slot=st.integers(1, 9),
    target_seconds=st.sampled_from((0.1, 0.5, 180.0)),
    job_start_seconds=st.sampled_from((0.0, 0.05, 30.0)),
    tasks_per_shard=st.sampled_from((None, None, 1, 2, 5)),
    array_size=st.sampled_from((10_000, 1, 2, 3)),
    upstream_arrays=st.sampled_from((20, 2, 3)),
    bandwidth=st.sampled_from((1e9, 1e8)),
)
SIZES = st.sampled_from((0.0, 8.0, 1e8, 1e11))
COSTS = st.builds(Cost, st.floats(0, 100), st.floats(0, 300))


@st.composite
def requests(draw: st.DrawFn) -> PlanRequest:
    """Draw a graph of up to 40 tasks with literals, outside values and other resources."""
    size = draw(st.integers(1, 40))
    reach = draw(st.sampled_from((1, 3, 40)))
    external = {f"outside-{n}": draw(st.sampled_from((None, "s1", "s2", 3))) for n in range(4)}
    literals = [f"literal-{n}" for n in range(3)]
    tasks = [(f"{draw(st.sampled_from(PREFIXES))}-{n}", n) for n in range(size)]
    dependencies: Dependencies = dict.fromkeys(literals, ())
    for n, task in enumerate(tasks):
        earlier = st.sampled_from([*tasks[max(0, n - reach) : n], *external, *literals])
        dependencies[task] = draw(st.lists(earlier, max_size=4))
    keys = draw(st.permutations([*dependencies]))
    kinds = st.sampled_from((Resources(), Resources(gpus=1), Resources(memory=10**9)))
    return PlanRequest(
        dependencies={key: dependencies[key] for key in keys},
        wanted=draw(st.lists(st.sampled_from(tasks), min_size=1, max_size=8)),
        limits=draw(LIMITS),
        literals=literals,
        external=external,
        costs=draw(st.dictionaries(st.sampled_from(PREFIXES), COSTS)),
        seconds=draw(st.dictionaries(st.sampled_from(tasks), st.floats(0, 100), max_size=5)),
        nbytes=draw(st.dictionaries(st.sampled_from((*PREFIXES, "outside")), SIZES)),
        external_nbytes=draw(st.dictionaries(st.sampled_from([*external]), SIZES)),
        resources=draw(st.dictionaries(st.sampled_from(tasks), kinds, max_size=10)),
    )


@settings(max_examples=150, deadline=None)
@given(requests())
def test_plan_keeps_its_promises(request: PlanRequest) -> None:
    plan = make_plan(request)
    check_plan(request, plan)
    assert make_plan(request) == plan


@settings(max_examples=30, deadline=None)
@given(requests())
def test_order_of_dependencies_does_not_matter(request: PlanRequest) -> None:
    turned = {key: [*reversed([*read])] for key, read in request.dependencies.items()}
    assert make_plan(replace(request, dependencies=turned)) == make_plan(request)


PROGRAM = """
from dask_knot.planning import *
tasks = {f"load-{n}": set() for n in range(60)}
tasks |= {f"mix-{n}": {f"load-{n * k % 60}" for k in range(1, 6)} for n in range(60)}
tasks |= {f"use-{n}": {f"mix-{n}", f"mix-{n * 7 % 60}", "old-1", "old-2"} for n in range(60)}
external = {"old-1": "a", "old-2": "b"}
resources = {f"mix-{n}": Resources(gpus=1) for n in range(60)}
wanted = [f"use-{n}" for n in range(60)]
print(make_plan(PlanRequest(tasks, wanted, Limits(3), external=external, resources=resources)))
"""


def test_plan_does_not_depend_on_hashes() -> None:
    plans = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(plans) == 1
    assert "EarlierStage" in plans.pop()
