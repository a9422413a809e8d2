"""Clients of this process that have connected: they read values as the session of the cluster does.

What Dask's own do for each key they do for many.

Dask runs this for each client, as its configuration ``distributed.client.preload`` says while a
cluster is open in this process.

Those of a named run ask for keys by their names as well. Dask's own ``Future(key, client)`` tells
nobody that somebody waits for the key, and is pending for ever unless a graph of the same client
has brought it. In a named run an earlier session may have brought it. So the client is made to ask,
in the order in which it sends graphs: what these bring is known before.
"""

from __future__ import annotations

from typing import Any

from dask_knot.internals.clients import (
    gather_together,
    let_go_together,
    release_together,
    tell_of_futures,
)
from dask_knot.internals.reports import hear_together
from dask_knot.session.process import open_here


def dask_setup(client: Any) -> None:
    """Let a client of a cluster that is open here read values, and do many things in one step.

    That of a named run asks for the keys of futures, too.
    """
    hosts = [cluster for cluster in list(open_here) if has_client(cluster, client.id)]
    if hosts:
        hear_together(client)
        release_together(client)
        let_go_together(client.loop)
        gather_together(client)
    for host in hosts:
        outlet = getattr(host.scheduler, "outlet", None)
        if outlet is not None:
            outlet.welcome(client)
            outlet.tell_together(client.id)
    if any(host.settings.is_named for host in hosts):
        tell_of_futures(client)


def has_client(cluster: Any, client: str) -> bool:
    """Tell whether a client of this id is connected to a cluster."""
    scheduler = getattr(cluster, "scheduler", None)  # what is no cluster has none
    return scheduler is not None and client in scheduler.clients
