"""Clients of this process that have connected: they read values as the session of the cluster does.

To a named run, they ask for keys by their names.

Dask runs this for each client, as its configuration ``distributed.client.preload`` says while a
cluster is open in this process. Dask's own ``Future(key, client)`` tells nobody that somebody waits
for the key, and is pending for ever unless a graph of the same client has brought it. In a named
run an earlier session may have brought it. So the client is made to ask, in the order in which it
sends graphs: what these bring is known before.
"""

from __future__ import annotations

from typing import Any

from dask_knot.internals import tell_of_futures
from dask_knot.session.process import open_here


def dask_setup(client: Any) -> None:
    """Let a client of a run that is open here read values, and ask for the keys of futures."""
    for cluster in list(open_here):
        outlet = getattr(getattr(cluster, "scheduler", None), "outlet", None)
        if outlet is not None and outlet.knows(client.id):  # what is no cluster has none
            outlet.welcome(client)
    if any(has_named(cluster, client.id) for cluster in list(open_here)):
        tell_of_futures(client)


def has_named(cluster: Any, client: str) -> bool:
    """Tell whether a cluster holds a named run, and a client of this id is connected to it."""
    scheduler = getattr(cluster, "scheduler", None)  # what is no cluster has none
    return cluster.settings.is_named and scheduler is not None and client in scheduler.clients
