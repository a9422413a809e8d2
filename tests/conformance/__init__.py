"""Dask's own tests, run through a KnotCluster: ``python -m tests.conformance``."""
