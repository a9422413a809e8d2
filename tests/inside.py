"""The inner parts of an open cluster, for tests that break or count something in there.

The one place of the tests that knows how a cluster is built.
"""

from __future__ import annotations

from typing import Any

from dask_knot.cluster.cluster import KnotCluster
from dask_knot.run.store import Store
from dask_knot.session.session import Session
from dask_knot.tracking.state import TrackerState
from tests.tracking.memory import remembered


def session(cluster: KnotCluster) -> Session:
    """Give the session of a cluster."""
    return cluster._lifetime.opened


def gateway(cluster: KnotCluster) -> Any:
    """Give the one Dask worker of a cluster."""
    return cluster._lifetime.gateway


def engine(cluster: KnotCluster) -> Any:
    """Give what runs the jobs."""
    return session(cluster)._engine


def batch(cluster: KnotCluster) -> Any:
    """Give what answers Batch's calls."""
    return engine(cluster).client


def store(cluster: KnotCluster) -> Store:
    """Give the store that the run is in."""
    return session(cluster).run._store


def service(cluster: KnotCluster) -> Any:
    """Give what knows the jobs."""
    return session(cluster)._service


def tracker(cluster: KnotCluster) -> Any:
    """Give the tracker."""
    return session(cluster)._tracker


def records(cluster: KnotCluster) -> TrackerState:
    """Give what the tracker remembers."""
    return remembered(tracker(cluster))
