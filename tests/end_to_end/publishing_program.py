"""A program that publishes what it makes, with code that nobody else has, and leaves.

python publishing_program.py STORE
"""

from __future__ import annotations

import sys
from typing import Any

import dask
import dask.array as da
import dask.bag as db
import dask.dataframe as dd
import numpy as np
import pandas as pd
import xarray as xr
from distributed import Client, wait

from dask_knot import KnotCluster

NAME = "published"


def triple(block: Any) -> Any:
    """Be known here only."""
    return block * 3


class Maker:
    """Is known here only, too."""

    def make(self, number: int) -> int:
        """Make a number."""
        return number + 1


def publish(client: Client) -> None:
    """Publish a collection of each kind."""
    array = da.ones((60, 40), chunks=20).map_blocks(triple, dtype=float).persist()
    grid = xr.Dataset(
        {"t": (("y", "x"), da.arange(48, chunks=12).reshape(6, 8).map_blocks(triple))},
        coords={"x": np.arange(8), "y": np.linspace(0, 1, 6)},
        attrs={"title": "a grid"},
    ).persist()
    table = dd.from_pandas(pd.DataFrame({"a": range(20), "b": 2.0}), npartitions=3)
    table = table.assign(c=table.a + table.b).persist()
    bag = db.from_sequence(range(10), npartitions=3).map(triple).persist()
    late = dask.delayed(Maker().make)(41).persist()
    futures = client.map(triple, range(5))
    wait([array, grid, table, bag, late, futures])
    client.publish_dataset(array=array, grid=grid, table=table, bag=bag, late=late)
    client.publish_dataset({"futures": futures, "nested": {"one": [futures[1]], "text": "x"}})
    client.datasets["number"] = 7


if __name__ == "__main__":
    with (
        dask.config.set({"knot.local.preload": []}),
        KnotCluster(
            name=NAME, store=sys.argv[1], jobs=2, memory="1 GiB", dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        publish(client)
