"""Shuffles of dataframes have as many branches as the setting says."""

from __future__ import annotations

from typing import Any

import dask
import dask.dataframe as dd
import pandas as pd
import pytest

from dask_knot.errors import ConfigurationError
from dask_knot.graphs.materialization import materialize
from dask_knot.graphs.shuffles import BRANCH
from dask_knot.internals import finalized

PARTITIONS = 9


def shuffled(**options: Any) -> Any:
    frame = dd.from_pandas(pd.DataFrame({"who": range(40)}), npartitions=PARTITIONS)
    return frame.shuffle("who", shuffle_method="tasks", **options)


def pieces(expr: Any) -> int:
    tasks, _ = materialize(expr)
    return sum(str(key[0]).startswith("split-") for key in tasks if isinstance(key, tuple))


@pytest.mark.parametrize(
    ("branch", "options", "count"),
    [
        (PARTITIONS, {}, PARTITIONS**2),
        (3, {}, 2 * 3 * PARTITIONS),  # two passes
        (None, {}, PARTITIONS**2),  # as Dask has it
        (PARTITIONS, {"max_branch": 3}, 2 * 3 * PARTITIONS),  # what the user says goes first
        (3, {"max_branch": PARTITIONS}, PARTITIONS**2),
    ],
)
def test_branches(branch: int | None, options: dict[str, int], count: int) -> None:
    collection = shuffled(**options)
    expr = finalized([collection])
    with dask.config.set({BRANCH: branch}):
        assert pieces(expr) == count
        assert expr.__dask_keys__() == finalized([collection]).__dask_keys__()
    usual = 2 * 3 * PARTITIONS if options == {"max_branch": 3} else PARTITIONS**2
    assert pieces(expr) == usual  # nothing stays at what may be the user's own expression
    assert sorted(collection.compute(scheduler="sync").who) == [*range(40)]


@pytest.mark.parametrize("branch", [1, 0, -3, "many", 2.5])
def test_what_is_no_number_of_branches_is_refused(branch: Any) -> None:
    expr = finalized([shuffled()])
    with (
        dask.config.set({BRANCH: branch}),
        pytest.raises(ConfigurationError, match="max-branch must be a whole number"),
    ):
        materialize(expr)
