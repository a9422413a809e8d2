"""All problems of an environment in one message."""

from __future__ import annotations

import pytest

from dask_knot.environment.problems import Problems
from dask_knot.errors import ImageError, PackagesError


def test_nothing_wrong_is_no_error() -> None:
    problems = Problems()
    problems.raise_if_any()
    assert not problems


def test_all_are_told_at_once_each_with_its_cure() -> None:
    problems = Problems()
    for name in ("gdal", "mkl", "gdal"):
        problems.add(f"{name} is only conda's", f"Ask for {name} with --debian")
    with pytest.raises(PackagesError) as caught:
        problems.raise_if_any()
    assert isinstance(caught.value, ImageError)
    assert str(caught.value).splitlines() == [
        "the packages here can't go into an image yet, because of 2 problems:",
        "- gdal is only conda's.",
        "  Fix: Ask for gdal with --debian.",
        "- mkl is only conda's.",
        "  Fix: Ask for mkl with --debian.",
    ]
