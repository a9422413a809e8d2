"""`dask knot list`: what can be joined by its name."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import click

from dask_knot.cli.flags import run_options
from dask_knot.cli.screen import Screen, say
from dask_knot.errors import KnotError

HEADS = ("cluster", "scheduler", "dashboard")


@click.command("list")
@run_options
def list_clusters(place: Mapping[str, str | None]) -> None:
    """List the clusters and named runs that dask_knot.connect joins.

    First the clusters that are open on this machine, with their scheduler and dashboard; then the
    names of the runs in the store. `dask knot runs` tells more of each run: its age, its state, how
    much is done, its size, and who made it.
    """
    say("looking for clusters and runs …")
    from dask_knot.cluster.joining import dashboard_of
    from dask_knot.runs.notices import open_clusters

    screen, found = Screen(), open_clusters()
    if found:
        rows = [(name, where, asyncio.run(dashboard_of(where))) for name, where in found.items()]
        screen.columns(HEADS, rows)
    else:
        screen.line("no cluster is open on this machine")
    screen.line()
    from dask_knot.cli.runs import open_depot

    try:
        depot = open_depot(place)
        names = depot.names()
    except KnotError as error:
        if any(place.values()):
            raise
        screen.line(f"named runs can't be listed: {error}")
        return
    screen.line(f"named runs in {depot.url}", "bold")
    for name in names or ["none: KnotCluster(name=...) makes one"]:
        screen.line(f"  {name}")


COMMANDS = (list_clusters,)
