"""The engine of this machine: what it may give to jobs, and what it hasn't got."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest
from dask.system import CPU_COUNT
from distributed.system import MEMORY_LIMIT

from dask_knot.local.capacity import Capacity
from dask_knot.local.engine import LocalEngine, lacking
from dask_knot.planning import Resources
from dask_knot.settings.settings import resolve
from tests.local.fakes import FakeLauncher

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


@pytest.mark.parametrize(
    ("memory", "machine", "most"),
    [("1 GiB", 64, 64), ("40 GiB", 64, 80)],  # with two jobs; who asked for more gets more
)
def test_a_job_may_have_all_memory_and_gpus_of_its_machine(
    memory: str, machine: int, most: int
) -> None:
    settings = resolve({"engine": "local", "jobs": 2, "memory": memory})
    engine = LocalEngine(settings, lambda *_: FakeLauncher(), "x", Capacity(96, machine * 1024, 4))
    with closing(engine):
        assert engine.largest == Resources(2, most * 2**30, 4)
        engine.resize(1)
        assert engine.largest == Resources(1, 64 * 2**30, 4)
