"""Tests of `dask_knot.tracking`."""
