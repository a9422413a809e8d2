"""Trouble is borne for a while, but not what no time mends."""

from __future__ import annotations

import pytest

from dask_knot.errors import StoreError, StoreGoneError
from dask_knot.session.outages import Outage


def test_who_watches_is_not_patient_with_a_store_that_is_gone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    trouble, gone = Outage(30.0), StoreGoneError("gone")
    assert trouble.endure(gone, 0.0) is gone
    assert not trouble.is_present
    assert [one for one in caplog.records if one.name.startswith("dask_knot")] == []
    assert trouble.endure(StoreError("busy"), 0.0) is None
    assert trouble.endure(gone, 1.0) is gone
