"""The face of Dask: cluster, scheduler, gateway."""
