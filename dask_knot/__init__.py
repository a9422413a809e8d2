"""dask_knot: any Dask graph as array jobs of AWS Batch.

>>> from dask.distributed import Client
>>> from dask_knot import KnotCluster
>>> client = Client(KnotCluster())  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

from dask_knot.settings.defaults import reconfigure

if TYPE_CHECKING:
    from dask_knot.cluster.cluster import KnotCluster
    from dask_knot.cluster.joining import connect
    from dask_knot.dashboard.progress import progress
    from dask_knot.knot.knot import Knot

__version__ = "0.1.0"
__all__ = ["Knot", "KnotCluster", "connect", "progress", "reconfigure"]

reconfigure()


def __getattr__(name: str) -> object:
    """Import what is asked for: the jobs, which import this too, never need it."""
    if name == "KnotCluster":
        from dask_knot.cluster.cluster import KnotCluster

        return KnotCluster
    if name == "Knot":
        from dask_knot.knot.knot import Knot

        return Knot
    if name == "connect":
        from dask_knot.cluster.joining import connect

        return connect
    if name == "progress":
        from dask_knot.dashboard.progress import progress

        return progress
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
