"""A program that may not have the memory for what it gathers."""

from __future__ import annotations

import resource

import dask
import numpy as np
import psutil
from distributed import Client, wait

from dask_knot import KnotCluster
from dask_knot.errors import ClientMemoryError

VALUES, LENGTH = 20, 20_000_000


def block(number: int) -> np.ndarray:
    """Make 20 MB."""
    return np.full(LENGTH, number, np.uint8)


def main() -> None:
    few = {"jobs": 2, "memory": "1 GiB", "dashboard_address": None}
    with (
        dask.config.set({"knot.local.preload": []}),
        KnotCluster(**few) as cluster,
        Client(cluster) as client,
    ):
        futures = client.map(block, range(VALUES))
        wait(futures)
        taken = psutil.Process().memory_info().vms
        resource.setrlimit(resource.RLIMIT_AS, (taken + VALUES * LENGTH // 2,) * 2)
        try:
            client.gather(futures)
        except ClientMemoryError as error:
            print(error)
        print([int(future.result()[-1]) for future in futures])
        print(client.submit(len, futures[0]).result())


if __name__ == "__main__":
    main()
