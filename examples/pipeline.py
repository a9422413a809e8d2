"""A pipeline of dask.delayed steps that depend on each other: load, clean, summarize, compare."""

from __future__ import annotations

import argparse

import numpy as np
from dask import delayed
from dask.delayed import Delayed
from distributed import Client
from numpy.typing import NDArray

from dask_knot import KnotCluster

Reading = NDArray[np.float64]


def load(station: int) -> Reading:
    """Read one station's hourly temperatures of a year, in degrees; a few are missing (nan)."""
    rng = np.random.default_rng(station)
    hours = np.arange(365 * 24)
    reading = station + 10 * np.sin(hours * 2 * np.pi / 24) + rng.normal(0, 1, hours.size)
    reading[rng.random(hours.size) < 0.01] = np.nan
    return reading


def clean(reading: Reading) -> Reading:
    """Fill each gap from its neighbors in time."""
    hours = np.arange(reading.size)
    good = ~np.isnan(reading)
    return np.interp(hours, hours[good], reading[good])


def summarize(station: int, reading: Reading) -> tuple[int, float]:
    """Give the station's number and its mean temperature of the year."""
    return station, float(reading.mean())


def warmest(summaries: list[tuple[int, float]]) -> tuple[int, float]:
    """Pick the station with the highest mean."""
    return max(summaries, key=lambda summary: summary[1])


def build(stations: int) -> Delayed:
    """Describe the pipeline. Nothing runs yet."""
    summaries = []
    for station in range(stations):
        reading = delayed(clean)(delayed(load)(station))
        summaries.append(delayed(summarize)(station, reading))
    return delayed(warmest)(summaries)


def find_warmest(client: Client, stations: int) -> tuple[int, float]:
    """Run the pipeline and wait for its one result."""
    station, mean = client.compute(build(stations)).result()
    return station, mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", help="what runs the jobs (default: as configured)")
    parser.add_argument("--stations", type=int, default=40)
    args = parser.parse_args()
    with KnotCluster(engine=args.engine) as cluster, Client(cluster) as client:
        station, mean = find_warmest(client, args.stations)
        print(f"warmest of {args.stations} stations: number {station}, {mean:.2f} degrees")


if __name__ == "__main__":
    main()
