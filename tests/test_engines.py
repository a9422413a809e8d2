"""Engines say what this machine hasn't got."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dask.system import CPU_COUNT
from distributed.system import MEMORY_LIMIT

from dask_knot.engines import lacking
from dask_knot.settings import resolve

SMALL = resolve({"engine": "local", "memory": "1 MiB"})


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ({}, ""),
        ({"cores": CPU_COUNT + 1}, f"{CPU_COUNT + 1} cores, and this machine has {CPU_COUNT}"),
        ({"memory": 2 * MEMORY_LIMIT}, "of memory, and this machine has"),
    ],
)
def test_what_is_lacking_is_said(size: dict[str, int], said: str) -> None:
    found = lacking(replace(SMALL, **size))
    assert said in found if said else not found
