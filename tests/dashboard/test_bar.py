"""The bar of a map: counts and times in, one line of text out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.dashboard.bar import Speed, Standing, bar, clock, summary


@pytest.mark.parametrize(
    ("standing", "rate", "seconds", "text"),
    [
        (
            Standing("pi-0", 0, 0, 100, waiting=3),
            None,
            2.5,
            "pi-0:   0%|                              | 0/100 [0:02<?, 3 jobs waiting]",
        ),
        (
            Standing("pi-0", 40, 1, 100, running=2, waiting=1200),
            8.2,
            5,
            "pi-0:  41% 41/100 [0:05<0:07, 8.2/s, 1 failed, 2 jobs running, 1,200 waiting]",
        ),
        (
            Standing("pi-0", 1, 0, 4, running=1, money="0.12 to 0.30 USD"),
            0.005,
            3700,
            "pi-0:  25%|█▊     | 1/4 [1:01:40<10:00, 3:20 each, 1 job running, 0.12 to 0.30 USD]",
        ),
        (
            Standing("pi-0", 1, 0, 4, running=1, money="cost unknown"),
            0.4,
            60,
            "pi-0:  25%|███▌          | 1/4 [1:00<0:07, 2.5 s each, 1 job running, cost unknown]",
        ),
        (
            Standing("pi-0", 999_999, 0, 1_000_000),
            12_345,
            81,
            "pi-0:  99%|█████████████████████████████▉| 999,999/1,000,000 [1:21<0:00, 12,345/s]",
        ),
        (
            Standing("pi-0", 90, 0, 20_000, is_reading=True, running=2),
            45.0,
            2,
            "pi-0: 90 of 20,000 items so far [0:02, 45.0/s, 2 jobs running]",
        ),
        (Standing("pi-0", 0, 0, 0), None, 1, "pi-0: 0 of 0 items so far [0:01<?]"),
    ],
)
def test_words(standing: Standing, rate: float | None, seconds: float, text: str) -> None:
    assert bar(standing, rate, seconds, columns=84) == text


def test_a_terminal_without_blocks() -> None:
    half = bar(Standing("pi-0", 1, 0, 2), 1.0, 1, columns=44, plain=True)
    assert half == "pi-0:  50%|####    | 1/2 [0:01<0:01, 1.0/s]"
    assert half.isascii()


def test_a_narrow_terminal_has_the_words_only() -> None:
    assert bar(Standing("pi-0", 1, 0, 2), 1.0, 1, columns=30) == "pi-0:  50% 1/2 [0:01<0:01, 1.0/s]"


def test_what_is_over() -> None:
    standing = Standing("pi-0", 98, 2, 100, money="0.10 USD")
    assert summary(standing, 12.4) == "pi-0: 100 items [0:12, 8.1/s, 2 failed, 0.10 USD]"
    assert summary(Standing("pi-0", 1, 0, 1), 0.0) == "pi-0: 1 item [0:00]"


@given(st.integers(1, 10**7), st.integers(0, 10**7), st.integers(1, 200), st.floats(1e-9, 1e9))
def test_it_fits_and_says_100_percent_of_what_is_over_only(
    total: int, done: int, columns: int, rate: float
) -> None:
    standing = Standing("squares", min(done, total), 0, total)
    text = bar(standing, rate, 100.0, columns)
    assert ("|" not in text) or len(text) < columns
    assert ("100%" in text) == (done >= total)


def test_a_speed_forgets_the_start_of_the_jobs() -> None:
    speed = Speed(100.0)
    assert speed.a_second(0, 100.0) is None
    for second in range(61):  # nothing for a minute
        speed.note(0, 100.0 + second)
    assert speed.a_second(0, 160.0) is None
    for second in range(1, 31):
        speed.note(10 * second, 160.0 + second)
    found = speed.a_second(300, 190.0)
    assert found == pytest.approx(10, rel=0.1)


def test_a_speed_knows_nothing_of_what_was_there_already() -> None:
    speed = Speed(0.0)
    speed.begin(900, 0.4)
    assert speed.a_second(900, 0.4) is None
    assert speed.a_second(900, 1.4) is None
    assert speed.a_second(902, 1.4) == pytest.approx(2)


def test_a_speed_falls_while_nothing_moves() -> None:
    speed = Speed(0.0)
    speed.note(100, 10.0)
    first, later = speed.a_second(100, 10.0), speed.a_second(100, 40.0)
    assert first == 10
    assert later == 2.5


def test_a_speed_keeps_few_samples() -> None:
    speed = Speed(0.0)
    for look in range(40_000):  # four a second, for nearly three hours
        speed.note(look, look / 4)
    assert len(speed._samples) < 200
    assert speed.a_second(40_000, 10_000) == pytest.approx(4, rel=0.01)


def test_clock() -> None:
    assert [clock(seconds) for seconds in (0.99, 59.9, 3600, 100_000)] == [
        "0:00",
        "0:59",
        "1:00:00",
        "27:46:40",
    ]
