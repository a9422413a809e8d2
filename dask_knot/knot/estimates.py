"""Estimates of maps: a few items are tried, and nothing is noted of a map."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from dask_knot.estimates.forecast import Forecast
from dask_knot.knot.host import SessionHost
from dask_knot.knot.items import MapItems, MapWork
from dask_knot.run.exits import ESTIMATED
from dask_knot.session.forecasting import forecast_of
from dask_knot.tracking.events import Graph


def estimate_items(
    host: SessionHost, work: MapWork, items: MapItems, sample: int, optimize: str | None
) -> Forecast:
    """Try a few items, and say what all of them will take; reads all of them."""
    listed = list(items.items)
    if items.check is not None:
        items.check.check(listed)
    if not listed:
        return Forecast((), 0.0, 0, 0.0, {})
    graph = host.open(work.tasks(listed, 0), work.variables)
    forecast: Forecast = host.call(_forecast(host, graph, sample, optimize))
    return forecast


async def _forecast(host: SessionHost, graph: Graph, sample: int, optimize: str | None) -> Forecast:
    session = host.session
    if session.prior is not None:
        await session.prior.recall()
    return await forecast_of(session, graph, sample, optimize)


def rehearse(host: SessionHost, work: MapWork, items: MapItems, sample: int) -> NoReturn:
    """Print what a map would take, and end the process: see `session.rehearsal`."""
    code = 1
    try:
        print(estimate_items(host, work, items, sample, None))  # noqa: T201
        code = ESTIMATED
    except Exception as error:
        print(f"it can't be estimated: {error}", file=sys.stderr)  # noqa: T201
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        host.close()
        os._exit(code)
