"""Passes are chosen by what values and pieces cost, within bounds."""

from __future__ import annotations

import dask.array as da
import pytest
from dask.array.rechunk import estimate_graph_size, plan_rechunk

from dask_knot.planning.passes import Passes, affordable_passes


@pytest.mark.parametrize(
    ("bandwidth", "memory", "found"),
    [
        (1e9, 16 * 2**30, Passes(pieces=16, branch=32, joined=16)),  # this machine
        (1e8, 2 * 2**30, Passes(pieces=64, branch=128, joined=8)),  # AWS
        (1e6, None, Passes(pieces=64, branch=128, joined=16)),  # never more
        (1e12, 2**28, Passes(pieces=4, branch=32, joined=4)),  # never less than Dask's
    ],
)
def test_passes(bandwidth: float, memory: int | None, found: Passes) -> None:
    assert affordable_passes(bandwidth, memory) == found


def sizes(blocks: int, threshold: int) -> list[int]:
    """Count the pieces of each pass in which rows of chunks become columns."""
    side = 16_384 * blocks  # chunks are large enough that none are joined
    now = ((side // blocks,) * blocks, (side,))
    wanted = now[::-1]
    found = []
    for chunks in plan_rechunk(now, wanted, 8, threshold=threshold):
        found.append(estimate_graph_size(now, chunks))
        now = chunks
    return found


@pytest.mark.parametrize(("bandwidth", "blocks"), [(1e9, 31), (1e8, 100)])
def test_one_pass_is_enough_where_it_pays(bandwidth: float, blocks: int) -> None:
    threshold = affordable_passes(bandwidth).pieces
    assert sizes(blocks, threshold) == [blocks**2]
    assert len(sizes(blocks, 4)) > 2


def test_a_thousand_by_a_thousand_chunks_are_no_million_pieces() -> None:
    assert sum(sizes(1000, affordable_passes(1.0).pieces)) < 100_000


def test_the_threshold_is_that_of_rechunk() -> None:
    x = da.ones((64, 64), chunks=(2, 64))
    graph = x.rechunk((64, 2), threshold=17, method="tasks").__dask_graph__()
    assert sum("rechunk-merge" in str(key) for key in graph.to_dict()) == 32
