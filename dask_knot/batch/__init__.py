"""AWS Batch as dask_knot uses it, and the same calls on this machine."""
