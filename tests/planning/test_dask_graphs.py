"""The plans of real Dask graphs: as many stages as their shape asks for, little data between."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from dask import delayed
from dask._task_spec import DataNode, convert_legacy_graph
from dask.base import collections_to_expr
from dask.core import flatten

from dask_knot.planning import Limits, Plan, PlanRequest, make_plan

from .graphs import check_plan, widths

#: AWS's numbers; nothing is known of any task.
AWS = Limits(256, shards_per_slot=2, target_seconds=240, job_start_seconds=60)


def plan_of(*collections: object, slots: int = 4, limits: Limits | None = None) -> Plan:
    """Plan collections as Dask would hand them over, and check the plan."""
    expression = collections_to_expr(collections).optimize()
    tasks = convert_legacy_graph(expression.__dask_graph__())
    literals = {key for key, task in tasks.items() if isinstance(task, DataNode)}
    asked = PlanRequest(
        dependencies={key: task.dependencies for key, task in tasks.items()},
        wanted=[*flatten(expression.__dask_keys__())],
        limits=limits or Limits(slots),
        literals=literals,
    )
    plan = make_plan(asked)
    check_plan(asked, plan)
    return plan


def moved(plan: Plan) -> int:
    """Count the values that a shard reads from another one."""
    return sum(len(shard.inputs) for stage in plan.stages for shard in stage.shards)


def random(side: int, chunk: int) -> da.Array:
    return da.random.default_rng(0).random((side, side), chunks=(chunk, chunk))


def test_sum_of_many_chunks() -> None:
    plan = plan_of((da.ones((700, 700), chunks=(10, 10)) + 1).sum())
    assert widths(plan) == [16, 1]
    assert moved(plan) < 4900 / 20


def test_mean_of_an_array_and_its_transpose() -> None:
    x = random(8000, 500)
    assert widths(plan_of((x + x.T).mean())) == [16, 1]


def test_rechunk_of_whole_columns_moves_nothing() -> None:
    plan = plan_of(random(8000, 500).rechunk((8000, 500)))
    assert widths(plan) == [16]


def test_rechunk_from_rows_to_columns() -> None:
    plan = plan_of(random(800, 50).rechunk((800, 25)).rechunk((25, 800)))
    assert len(plan.stages) <= 4


@pytest.mark.parametrize("slots", [2, 4, 16])
def test_deviation_runs_side_by_side_again(slots: int) -> None:
    x = random(8000, 500)
    plan = plan_of((x - x.mean()).std(), slots=slots)
    heavy = [stage for stage in plan.stages if sum(len(s.tasks) for s in stage.shards) > 200]
    assert [len(stage.shards) for stage in heavy] == [4 * slots] * 2
    assert len(plan.stages) <= 6


def test_climatology() -> None:
    days = pd.date_range("2000-01-01", periods=365 * 4)
    values = da.random.default_rng(0).random((len(days), 100, 100), chunks=(30, 50, 50))
    data = xr.DataArray(values, dims=("time", "y", "x"), coords={"time": days})
    plan = plan_of(data.groupby("time.month").mean().data)
    assert len(plan.stages) <= 3
    assert widths(plan)[0] == 16
    tasks = [len(shard.tasks) for shard in plan.stages[0].shards]
    assert max(tasks) < 2 * min(tasks)


def test_delayed_pipeline() -> None:
    parts = [delayed(abs)(delayed(int)(n)) for n in range(500)]
    plan = plan_of(delayed(sum)(parts))
    assert widths(plan) == [16, 1]
    tasks = [len(shard.tasks) for shard in plan.stages[0].shards]
    assert max(tasks) - min(tasks) <= 4
    assert np.sum(tasks) >= 1000


def test_unknown_mean_is_two_stages() -> None:
    assert widths(plan_of(random(800, 100).mean(), limits=AWS)) == [64, 1]


def test_unknown_mean_of_many_chunks_is_few_stages() -> None:
    assert widths(plan_of(random(700, 10).mean(), limits=AWS)) == [512, 64, 4, 1]


def test_unknown_tall_svd() -> None:
    x = da.random.default_rng(0).random((100_000, 20), chunks=(1000, 20))
    plan = plan_of(*da.linalg.svd(x), limits=AWS)
    assert widths(plan)[0] == 100
    assert len(plan.stages) == 4


def test_unknown_rechunk_goes_as_wide_as_its_chunks() -> None:
    plan = plan_of(random(800, 50).rechunk((25, 800)), limits=AWS)
    assert widths(plan)[0] == 256
    assert widths(plan)[-1] == 32
    assert len(plan.stages) <= 4


def test_unknown_deviation_runs_side_by_side_again() -> None:
    x = random(8000, 500)
    plan = plan_of((x - x.mean()).std(), limits=AWS)
    assert widths(plan).count(256) == 2
    assert len(plan.stages) <= 6
