"""What lies between the tasks that were tried."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.estimates.curve import interpolate, quantile
from dask_knot.estimates.sampling import Extent
from dask_knot.estimates.trials import Habit, Trial, expect

NUMBERS = st.floats(0, 1e6)


def test_between_two_points_is_a_line_and_beside_them_is_flat() -> None:
    points = [(10.0, 1.0), (20.0, 3.0)]
    assert interpolate(points, [0, 10, 15, 20, 99]) == [1.0, 1.0, 2.0, 3.0, 3.0]


def test_of_several_at_one_place_the_mean_counts() -> None:
    assert interpolate([(1.0, 2.0), (1.0, 4.0)], [0, 1, 2]) == [3.0, 3.0, 3.0]


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1), st.lists(NUMBERS))
def test_nothing_is_beyond_what_was_seen(
    points: list[tuple[float, float]], places: list[float]
) -> None:
    values = [value for _, value in points]
    found = interpolate(points, places)
    slack = 1e-6 * (1 + max(values))
    assert all(min(values) - slack <= one <= max(values) + slack for one in found)


@given(st.lists(NUMBERS, min_size=1), st.floats(0, 1))
def test_quantiles_are_within(values: list[float], share: float) -> None:
    assert min(values) <= quantile(values, share) <= max(values) * (1 + 1e-9)


def test_what_grows_with_its_input_is_expected_right() -> None:
    extents = {("f", i): Extent(1e5 * i) for i in range(1, 101)}
    tried = [Trial(("f", i), 0.1 * i) for i in (1, 51, 100)]
    found = expect(extents, tried, {})  # type: ignore[arg-type]
    assert sum(found.seconds.values()) == pytest.approx(505.0)
    assert found.unknown == {}


def test_what_was_not_tried_is_as_in_earlier_runs_or_unknown() -> None:
    extents = {("f", 0): Extent(), ("g", 0): Extent(), ("h", 0): Extent(), ("h", 1): Extent()}
    found = expect(extents, [Trial(("f", 0), 3.0)], {"f": Habit(9.0), "g": Habit(2.0)})  # type: ignore[arg-type]
    assert found.seconds == {("f", 0): 3.0, ("g", 0): 2.0}
    assert found.unknown == {"h": 2}
