"""What follows from a few tasks for others."""

from __future__ import annotations

from dask_knot.estimates.sampling import Extent
from dask_knot.estimates.trials import places_of


def test_where_tasks_lie_is_said_where_that_tells_something() -> None:
    extents = {
        **{("f", at): Extent(nbytes=10_000.0 * (at + 1)) for at in range(3)},
        **{("g", at): Extent() for at in range(3)},
        **{("h", at): Extent(number=at) for at in range(3)},
    }
    found = places_of(extents, [("f", 0), ("f", 2), ("g", 1), ("h", 1), ("elsewhere", 1)])
    assert found == {("f", 0): 10_000.0, ("f", 2): 30_000.0}
