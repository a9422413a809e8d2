"""Keys as people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.run.spelling import Fit, fit_of, plain


@pytest.mark.parametrize(
    ("text", "how_well"),
    [
        ("('pi-calc-0', 17)", Fit.WHOLE),
        ("(pi-calc-0,17)", Fit.WHOLE),
        ("pi-calc-0,17", Fit.WHOLE),
        ("pi-calc-0:17", Fit.WHOLE),
        ("pi-calc-0", Fit.PARTS),
        ("('pi-calc-0',", Fit.PARTS),
        ("", Fit.PARTS),
        ("pi", Fit.BEGINNING),
        ("('pi", Fit.BEGINNING),
        ("pi-calc-0:1", Fit.NONE),  # that is another task
        ("pi-calc-0:170", Fit.NONE),
        ("pi-calc-0:17:0", Fit.NONE),
        ("calc", Fit.NONE),
        ("17", Fit.NONE),
    ],
)
def test_the_task_of_a_map(text: str, how_well: Fit) -> None:
    assert fit_of(text, "('pi-calc-0', 17)") is how_well


def test_what_follows_a_number_may_be_a_letter() -> None:
    assert fit_of("x:1", "('x', '1a2b')") is Fit.BEGINNING
    assert fit_of("x-1a2", "x-1a2345") is Fit.BEGINNING


@given(st.text("ab-", min_size=1), st.integers(0, 10**6), st.integers(0, 10**6))
def test_every_spelling_of_a_key_names_that_key_alone(name: str, one: int, other: int) -> None:
    key = (name, one)
    for text in (str(key), plain(str(key)), f"{name}:{one}", f"{name},{one}"):
        assert fit_of(text, str(key)) is Fit.WHOLE
        assert (fit_of(text, str((name, other))) is Fit.NONE) == (one != other)
