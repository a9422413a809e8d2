"""Each engine that the settings know can be opened."""

from __future__ import annotations

from contextlib import closing
from types import SimpleNamespace
from typing import Any, cast

import pytest
from distributed.system import MEMORY_LIMIT

from dask_knot.batch.request import JobTemplate
from dask_knot.local.engine import LocalEngine
from dask_knot.planning import Resources
from dask_knot.prices.offers import KEPT
from dask_knot.prices.shelf import packaged
from dask_knot.prices.tariff import Market, most_memory
from dask_knot.session import engines
from dask_knot.settings import settings

MIB, GIB = 2**20, 2**30


def test_every_engine_of_the_settings_has_an_opener() -> None:
    assert engines._OPENERS.keys() == settings._ENGINE_CHECKS.keys()
    assert all(callable(opener()) for opener in engines._OPENERS.values())


@pytest.mark.parametrize(
    ("given", "most"),
    [
        ({"max_memory": "2 GiB"}, 2 * GIB),
        ({"memory": "1 GiB", "jobs": 2}, max(MEMORY_LIMIT // MIB * MIB, 2 * GIB)),
        ({"max_memory": "900 TiB", "memory": "1 GiB", "jobs": 1}, MEMORY_LIMIT // MIB * MIB),
    ],
)
def test_a_job_that_ran_out_may_have_what_there_is(given: dict[str, Any], most: int) -> None:
    found = settings.resolve({"engine": "local", "cores": 1, "memory_retries": 2, **given})
    with closing(engines.open_engine(found)) as engine:
        allowance = engines.allowance_of(engine)
    assert (allowance.retries, allowance.most) == (2, most)
    assert allowance.fitting(Resources(1, GIB)) == Resources(1, GIB)
    assert allowance.fitting(Resources(1, 900 * 2**40)) is None


@pytest.mark.parametrize(
    ("max_memory", "most", "needs", "size"),
    [
        (31, 30, Resources(1, 30 * GIB), Resources(4, 30 * GIB)),
        (31, 30, Resources(1, 9 * GIB), Resources(2, 9 * GIB)),
        (31, 30, Resources(8, 30 * GIB), None),  # those of 8 vCPUs have 28 GiB, or 32
        (63, 60, Resources(1, 60 * GIB), Resources(8, 60 * GIB)),
        (500, 60, Resources(1, 64 * GIB), None),
        (1, 0, Resources(1, 1 * GIB), None),
    ],
)
def test_no_size_of_fargate_has_more_than_a_job_may_have(
    max_memory: int, most: int, needs: Resources, size: Resources | None
) -> None:
    given = settings.resolve({"engine": "local", "cores": 1, "max_memory": f"{max_memory} GiB"})
    engine = SimpleNamespace(
        settings=given,
        largest=Resources(8, 60 * GIB),
        market=None,
        template=JobTemplate("job", "queue", "image", platform="FARGATE"),
    )
    allowance = engines.allowance_of(cast(engines.Engine, engine))
    assert allowance.most == most * GIB
    assert allowance.fitting(needs) == size


@pytest.mark.parametrize(
    ("types", "most"),
    [
        (("m6i.large", "m6i.2xlarge"), (32 * 1024 - KEPT) * MIB),
        (("m6i",), None),
        (("m6i.large", "x9z.large"), None),
        (("optimal",), None),
    ],
)
def test_what_there_is_on_aws(types: tuple[str, ...], most: int | None) -> None:
    market = Market("eu-central-1", ("on-demand",), types=types)
    assert most_memory(packaged(), market) == most


def test_the_settings_name_the_engine() -> None:
    with closing(engines.open_engine(settings.resolve({"engine": "local", "cores": 1}))) as engine:
        assert isinstance(engine, LocalEngine)
        assert engine.is_here
