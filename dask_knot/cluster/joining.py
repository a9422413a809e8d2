"""Joining a cluster, or a run, by its name alone."""

from __future__ import annotations

import asyncio
from typing import Any

from distributed.core import rpc
from distributed.utils import format_dashboard_link

from dask_knot.cluster.cluster import KnotCluster
from dask_knot.cluster.discovery import RunningCluster
from dask_knot.errors import ConfigurationError
from dask_knot.runs.depot import Words, find_runs
from dask_knot.runs.notices import open_clusters

#: Seconds in which a scheduler on this machine answers.
PATIENCE = 2.0
_PLACES = ("store", "engine", "stack", "region", "profile")


def connect(name: str, **options: Any) -> Any:
    """Join a cluster by its name: one that is open on this machine, or a named run.

    Parameters
    ----------
    name : str
        The name that ``KnotCluster(name=...)`` was given. ``dask knot list`` lists the names.
    **options
        Arguments of `KnotCluster` to open a named run with, such as ``store``, ``engine`` or
        ``stack`` if it isn't in the default place.

    Returns
    -------
    Cluster
        Pass it to ``Client(...)``. If the cluster is open on this machine, you join that one, and
        closing it here closes it there, too. Otherwise the named run is opened, with its results.

    Raises
    ------
    ConfigurationError
        If there is neither. The message lists the names there are, and nothing is created.

    Examples
    --------
    >>> client = Client(dask_knot.connect("climate"))  # doctest: +SKIP
    """
    there = open_clusters()
    if name in there and not options:
        return RunningCluster.from_name(name)
    places = {place: options.get(place) for place in _PLACES}
    depot = find_runs(Words(**places))
    names = list(depot.names())
    if name not in names:
        known = ", ".join(map(repr, dict.fromkeys([*there, *names]))) or "nothing"
        raise ConfigurationError(
            f"there is no open cluster and no named run {name!r} in {depot.url}. There is: "
            f"{known}. KnotCluster(name={name!r}) makes a new run"
        )
    return KnotCluster(name=name, **options)


async def dashboard_of(address: str) -> str:
    """Ask a scheduler for the link to its dashboard; ``-`` if it has none, or doesn't answer."""
    try:
        async with rpc(address) as scheduler:
            identity = await asyncio.wait_for(scheduler.identity(), PATIENCE)
    except (OSError, TypeError, asyncio.TimeoutError):  # it wants TLS, or is gone
        return "-"
    port = identity.get("services", {}).get("dashboard")
    host = address.partition("://")[2].rpartition(":")[0]
    return str(format_dashboard_link(host, port)) if port else "-"
