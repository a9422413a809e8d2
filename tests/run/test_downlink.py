"""Requests under way follow bandwidth times latency, as they were seen."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.run.downlink import FIRST, MOST, STEP, Downlink, Passage

MB = 10**6
PART = 16 * MB


@dataclass
class Request:
    """One that is under way: seconds that it still waits, then bytes that are still to come."""

    passage: Passage
    wait: float
    left: float = PART


def run(line: Downlink, bandwidth: float, single: float, wait: float, requests: int) -> None:
    """Ask for parts, as many at once as the line says, on a line in virtual time.

    All that have waited share the bandwidth; none is faster than one connection.
    """
    now, begun = 0.0, 0
    under_way: list[Request] = []
    while begun < requests or under_way:
        while begun < requests and len(under_way) < line.width:
            under_way.append(Request(line.begin(now), wait))
            begun += 1
        coming = [one for one in under_way if one.wait <= 0]
        rate = min(single, bandwidth / max(1, len(coming)))
        step = min([one.left / rate for one in coming] + [o.wait for o in under_way if o.wait > 0])
        now += step
        for one in under_way:
            if one.wait > 0:
                one.wait = one.wait - step if one.wait > step * 1.000001 else 0
            else:
                one.left -= rate * step
        for one in [one for one in under_way if one.left < 1]:
            under_way.remove(one)
            line.end(one.passage, PART, now)


@pytest.mark.parametrize(
    ("bandwidth", "single", "wait"),
    [
        pytest.param(700 * MB, 700 * MB, 0.0, id="one-fills-it"),
        pytest.param(600 * MB, 80 * MB, 0.02, id="small-machine"),
        pytest.param(1200 * MB, 80 * MB, 0.03, id="s3"),
        pytest.param(3000 * MB, 80 * MB, 0.03, id="large-machine"),
        pytest.param(1200 * MB, 700 * MB, 0.2, id="far-away"),
        pytest.param(10 * MB, 10 * MB, 0.1, id="slow"),
    ],
)
def test_it_finds_what_fills_the_line(bandwidth: float, single: float, wait: float) -> None:
    line = Downlink()
    run(line, bandwidth, single, wait, 400)
    filled = min(MOST, max(FIRST, bandwidth / single + bandwidth * wait / PART))
    assert filled / STEP <= line.width <= STEP * STEP * filled


def test_nothing_is_learnt_from_few_requests() -> None:
    line = Downlink()
    for number in range(100):
        line.end(line.begin(number), PART, number + 0.1)
    assert line.width == FIRST


def test_a_line_that_has_become_faster_is_found_out() -> None:
    line = Downlink()
    run(line, 160 * MB, 80 * MB, 0.03, 200)
    assert line.width == FIRST
    run(line, 1200 * MB, 80 * MB, 0.03, 400)
    assert line.width > FIRST


def test_what_fails_is_not_under_way_any_more() -> None:
    line = Downlink()
    first, second = line.begin(0), line.begin(0)
    assert line.under_way == 2
    line.end(first, 0, 1)
    line.end(second, PART, 1)
    assert line.under_way == 0


@given(st.lists(st.tuples(st.integers(0, 2**40), st.floats(0, 1e5)), max_size=200))
def test_its_width_is_bounded(passed: list[tuple[int, float]]) -> None:
    line = Downlink()
    crowd = [line.begin(0) for _ in range(MOST)]
    for size, seconds in passed:
        line.end(line.begin(0), size, seconds)
        assert FIRST <= line.width <= MOST
    assert line.under_way == len(crowd)
