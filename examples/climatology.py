"""Monthly means of daily temperatures with xarray, read from a Zarr folder that is written first.

The jobs read the Zarr folder themselves: it has to be where they can reach it, which on this
machine is any folder.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import xarray as xr
from distributed import Client

from dask_knot import KnotCluster


def write_temperatures(path: Path, years: int) -> None:
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
        path, encoding={"temperature": {"chunks": chunks}}, consolidated=False
    )


def monthly_means(client: Client, path: Path) -> xr.DataArray:
    """Average over all years and places, for each month of the year: shape (month,)."""
    with xr.open_zarr(path, chunks={}, consolidated=False) as data:
        means = data.temperature.groupby("time.month").mean().mean(("lat", "lon"))
        result: xr.DataArray = client.compute(means).result()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", help="what runs the jobs (default: as configured)")
    parser.add_argument("--years", type=int, default=4)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "temperatures.zarr"
        write_temperatures(path, args.years)
        with KnotCluster(engine=args.engine) as cluster, Client(cluster) as client:
            for month, mean in enumerate(monthly_means(client, path).values, start=1):
                print(f"month {month:>2}: {mean:6.2f} degrees")


if __name__ == "__main__":
    main()
