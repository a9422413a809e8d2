"""Monthly means of daily temperatures with xarray, read from Zarr data that the script makes first.

The jobs read the data themselves, so the data must be in a place that jobs can reach. The script
uses the place where the cluster stores its values: a folder on this machine, or the stack's S3
bucket on AWS.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import xarray as xr
from distributed import Client

from dask_knot import KnotCluster
from dask_knot.zarr import zarr_store


def write_temperatures(data: Any, years: int) -> None:
    """Write daily temperatures in degrees, shape (day, lat, lon), from January 2001 on."""
    days = np.arange(np.datetime64("2001-01-01"), np.datetime64(f"{2001 + years}-01-01"))
    lat, lon = np.linspace(-85, 85, 18), np.arange(0, 360, 20)
    season = 10 * np.sin(np.arange(days.size) * 2 * np.pi / 365.25 - np.pi / 2)
    zonal = 30 * np.cos(np.deg2rad(lat)) - 5
    weather = np.random.default_rng(0).normal(0, 2, (days.size, lat.size, lon.size))
    values = zonal[None, :, None] + season[:, None, None] + weather
    temperature = xr.DataArray(
        values, dims=("time", "lat", "lon"), coords={"time": days, "lat": lat, "lon": lon}
    )
    chunks = (100, lat.size, lon.size)
    temperature.to_dataset(name="temperature").to_zarr(
        data, encoding={"temperature": {"chunks": chunks}}, consolidated=False
    )


def monthly_means(client: Client, data: Any) -> xr.DataArray:
    """Average over all years and places, for each month of the year: shape (month,)."""
    with xr.open_zarr(data, chunks={}, consolidated=False) as opened:
        means = opened.temperature.groupby("time.month").mean().mean(("lat", "lon"))
        result: xr.DataArray = client.compute(means).result()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", help="what runs the jobs (default: as configured)")
    parser.add_argument("--years", type=int, default=4)
    args = parser.parse_args()
    with KnotCluster(engine=args.engine) as cluster, Client(cluster) as client:
        # Deleted when the cluster is closed, as all that is under its name.
        data = zarr_store(f"{cluster.settings.store}/{cluster.name}/temperatures.zarr")
        write_temperatures(data, args.years)
        for month, mean in enumerate(monthly_means(client, data).values, start=1):
            print(f"month {month:>2}: {mean:6.2f} degrees")


if __name__ == "__main__":
    main()
