"""Workloads that `dask.array` and xarray make: real graphs, with chunks of about 100 MB as on AWS.

Their seconds are by key prefix, as throughputs of one vCPU: a chunk that was read from S3 is
unpacked at about 100 MB/s, transformed at about 400 MB/s, factorized at about 50 MB/s. Every task
is drawn around that. What reading takes comes on top: the world knows.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import dask
import dask.array as da
import numpy as np
import xarray as xr
from dask._task_spec import Alias, DataNode, convert_legacy_graph
from dask.base import collections_to_expr
from dask.core import flatten
from dask.typing import Key
from dask.utils import key_split

from benchmarks.simulate.maps import about
from benchmarks.simulate.world import Workload
from dask_knot.tracking.events import Graph

MB = 1_000_000
LOAD = "load-chunks"


def array_mean(slots: int, seed: int) -> Workload:
    """Make ``(x + x.T).mean()`` of chunks of 128 MB that are read from S3: 0.1 to 2 TB."""
    side = {16: 32, 64: 48, 256: 64}.get(slots, 128 if slots > 256 else 16)
    x = _stored((side * 4_000, side * 4_000), (4_000, 4_000), np.float64)
    # Dask fuses sum, transposition and mean of a chunk into one task.
    seconds = {LOAD: 1.3, "mean_chunk": 1.0}
    sizes = {LOAD: 128 * MB}
    return of_collection("array-mean", (x + x.T).mean(), seconds, sizes, seed)


def climatology(slots: int, seed: int) -> Workload:
    """Average daily maps of a quarter degree by month: months of 124 MB, read from S3."""
    years = {16: 40, 256: 120}.get(slots, 300 if slots > 256 else 10)
    days = np.arange(np.datetime64("1950-01-01"), np.datetime64(f"{1950 + years}-01-01"))
    maps = _stored((days.size, 721, 1440), (30, 721, 1440), np.float32)
    daily = xr.DataArray(maps, dims=("time", "lat", "lon"), coords={"time": days.astype("M8[ns]")})
    means = daily.groupby("time.month").mean().data
    seconds = {LOAD: 1.2, "shuffle": 0.15, "getitem": 0.15, "mean_chunk": 0.3}
    sizes = {LOAD: 124 * MB, "shuffle": 60 * MB, "getitem": 120 * MB}
    return of_collection("climatology", means, seconds, sizes, seed, others=4 * MB)


def rechunk(slots: int, seed: int) -> Workload:
    """Turn bands of rows of 128 MB into bands of columns, each of which is then reduced."""
    bands = {16: 64, 256: 256}.get(slots, 512 if slots > 256 else 32)
    side = bands * 500
    rows = _stored((side, side), (500, side), np.float64)
    with dask.config.set({"array.rechunk.method": "tasks"}):
        columns = rows.rechunk((side, 500)).std(axis=0)
    chunk = 8 * side * 500
    seconds = {LOAD: chunk / MB / 100, "rechunk-split": 0.02, "rechunk-merge": chunk / MB / 400}
    seconds["rechunk-merge-var"] = 2 * chunk / MB / 400
    sizes = {LOAD: chunk, "rechunk-merge": chunk, "rechunk-split": chunk // 4}
    sizes |= {"rechunk-merge-var": 8 * 500, "sqrt": 8 * 500}
    return of_collection("rechunk", columns, seconds, sizes, seed, others=8 * 500)


def tall_svd(slots: int, seed: int) -> Workload:
    """Factorize a tall matrix of 100 columns in chunks of 80 MB."""
    count = {16: 256, 64: 512, 256: 1024}.get(slots, 4096 if slots > 256 else 64)
    tall = _stored((count * 100_000, 100), (100_000, 100), np.float64)
    u, s, v = da.linalg.svd(tall)
    seconds = {LOAD: 0.8, "qr": 1.6, "svd": 0.2, "dot": 0.5, "getitem": 0.05}
    sizes = {LOAD: 80 * MB, "qr": 80 * MB, "dot": 80 * MB}
    kept = [s, v, u.sum(axis=0)]
    return of_collection("tall-svd", kept, seconds, sizes, seed, others=80_000)


def of_collection(
    name: str,
    collection: Any,
    seconds: Mapping[str, float],
    sizes: Mapping[str, int],
    seed: int,
    others: int = 1_000,
) -> Workload:
    """Make a workload of the graph that Dask makes of a collection, or of several.

    Parameters
    ----------
    seconds, sizes
        Mean seconds, and bytes of a value, by how a key's prefix begins; the longest one counts.
        All others take 0.05 s and have `others` bytes.
    """
    together = collection if isinstance(collection, list) else [collection]
    expression = collections_to_expr(together).optimize()
    made = convert_legacy_graph(expression.__dask_graph__())
    # Dask's order of them depends on hashes, which differ from process to process.
    tasks = {key: made[key] for key in sorted(made, key=str)}
    literals = frozenset(key for key, task in tasks.items() if isinstance(task, DataNode))
    drawn = random.Random(f"{name}/{seed}")
    times: dict[Key, float] = {}
    nbytes: dict[Key, int] = {}
    for key, task in tasks.items():
        if key not in literals:
            prefix = key_split(key)
            mean = _by_beginning(prefix, seconds, 0.05)
            times[key] = 1e-6 if isinstance(task, Alias) else about(mean, 0.25)(drawn)
            nbytes[key] = int(_by_beginning(prefix, sizes, others))
    wanted = [*flatten(expression.__dask_keys__())]
    reads = {key: nbytes[key] for key in times if key_split(key) == LOAD}
    return Workload(name, Graph(tasks, wanted, literals), times, nbytes, reads)


def _by_beginning(prefix: str, given: Mapping[str, float], otherwise: float) -> float:
    found = [one for one in given if prefix.startswith(one)]
    return given[max(found, key=len)] if found else otherwise


def _stored(shape: tuple[int, ...], chunks: tuple[int, ...], dtype: Any) -> da.Array:
    """Stand for an array in S3: each of its chunks is a task that reads it."""
    return da.map_blocks(
        _load, chunks=da.core.normalize_chunks(chunks, shape), dtype=dtype, name=LOAD
    )


def _load(block_info: Any = None) -> Any:
    return np.zeros(block_info[None]["chunk-shape"], block_info[None]["dtype"])
