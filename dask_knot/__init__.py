"""dask_knot: any Dask graph as array jobs of AWS Batch.

>>> from dask.distributed import Client
>>> from dask_knot import KnotCluster
>>> client = Client(KnotCluster())  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

from dask_knot.settings import reconfigure

if TYPE_CHECKING:
    from dask_knot.cluster import KnotCluster

__version__ = "0.1.0"
__all__ = ["KnotCluster", "reconfigure"]

reconfigure()


def __getattr__(name: str) -> object:
    """Import the cluster when it is asked for: the jobs, which import this too, never need it."""
    if name == "KnotCluster":
        from dask_knot.cluster import KnotCluster

        return KnotCluster
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
