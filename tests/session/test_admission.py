"""What doesn't fit into memory is refused, and by its name."""

from __future__ import annotations

import pytest

from dask_knot.errors import ClientMemoryError
from dask_knot.session.admission import STEP_BYTES, Admission, free_memory, refusal


def test_what_has_no_place_is_refused_with_both_numbers() -> None:
    admission = Admission(lambda: 3_000_000_000)
    admission.check(3_000_000_000)
    with pytest.raises(ClientMemoryError, match=r"20\.0 GB are needed, 3\.0 GB are free.*gather"):
        admission.check(20_000_000_000)
    with pytest.raises(ClientMemoryError, match=r"5\.0 MB are needed, 0\.0 MB are free"):
        Admission(lambda: 0).check(5_000_000)


def test_nothing_has_a_place_anywhere() -> None:
    Admission(lambda: -5).check(0)


def test_it_is_looked_at_step_by_step() -> None:
    looks: list[int] = []

    def free() -> int:
        looks.append(1)
        return STEP_BYTES if len(looks) < 3 else 0

    admission = Admission(free)
    for _ in range(5):  # two and a half steps
        admission.take(STEP_BYTES // 2)
    assert len(looks) == 2
    with pytest.raises(ClientMemoryError):
        admission.take(STEP_BYTES // 2)


def test_this_process_may_take_some() -> None:
    assert free_memory() > 2**20


def test_it_is_a_memory_error_that_says_what_to_do() -> None:
    error = refusal("why")
    assert isinstance(error, MemoryError)
    assert "as_completed" in str(error)
