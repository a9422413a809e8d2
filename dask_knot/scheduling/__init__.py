"""What KnotScheduler answers in the place of Dask's scheduler, a part in each file."""
