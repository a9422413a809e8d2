"""dask_knot: any Dask graph as array jobs of AWS Batch.

>>> from dask.distributed import Client
>>> from dask_knot import KnotCluster
>>> client = Client(KnotCluster())  # doctest: +SKIP
"""

from dask_knot.cluster import KnotCluster
from dask_knot.settings import reconfigure

__version__ = "0.1.0"
__all__ = ["KnotCluster", "reconfigure"]

reconfigure()
