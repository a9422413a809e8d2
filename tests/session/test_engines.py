"""Each engine that the settings know can be opened."""

from __future__ import annotations

from contextlib import closing

from dask_knot.local.engine import LocalEngine
from dask_knot.session import engines
from dask_knot.settings import settings


def test_every_engine_of_the_settings_has_an_opener() -> None:
    assert engines._OPENERS.keys() == settings._ENGINE_CHECKS.keys()
    assert all(callable(opener()) for opener in engines._OPENERS.values())


def test_the_settings_name_the_engine() -> None:
    with closing(engines.open_engine(settings.resolve({"engine": "local", "cores": 1}))) as engine:
        assert isinstance(engine, LocalEngine)
        assert engine.is_here
