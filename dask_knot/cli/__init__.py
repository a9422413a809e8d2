"""The commands ``dask knot …``: parse, call one function, print."""

from dask_knot.cli.main import knot

__all__ = ["knot"]
