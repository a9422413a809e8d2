"""The page of the site about a session on AWS: from `dask knot up` to `down`, in containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import pages
from tests.rig.machine import Rig

# The image that jobs need may have to be made first: that isn't counted.
pytestmark = pytest.mark.timeout(600, func_only=True)


def test_the_page_of_a_session_shows_what_is_stored(
    rig: Rig, job_image: str, tmp_path: Path
) -> None:
    book = pages.read(pages.IN_RIG)
    # Only what is of this notebook is built.
    with pages.in_account(rig, BASE=job_image) as variables:
        pages.execute(pages.IN_RIG, book, tmp_path, variables)
    assert pages.kinds(book) == pages.kinds(pages.read(pages.IN_RIG))
    said = "".join(
        output.get("text", "") for cell in book.cells for output in cell.get("outputs", ())
    )
    assert "20 stations, from 8.8 to 10.9 degrees" in said
    assert "slow_mean 20/20" in said
    assert "stack dask-knot is deleted" in said
