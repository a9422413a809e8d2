"""A run in a store of its own, and a collector that is as it was before."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from dask_knot.run.store import Store
from tests.job.runs import Rehearsal


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    """Undo what a job does to the collector, because it never ends its process here."""
    yield
    gc.unfreeze()


@pytest.fixture
def run(tmp_path: Path) -> Rehearsal:
    """Open a run in an empty folder."""
    return Rehearsal(Store(tmp_path / "store"))
