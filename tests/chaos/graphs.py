"""Random graphs by seed: two steps each, so that values can be harmed while nobody reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import add
from random import Random
from typing import Any

import dask
import dask.array as da
import dask.bag as db
import dask.dataframe as dd
import numpy as np
import pandas as pd
import xarray as xr
from dask import delayed
from distributed import Client, wait

from tests.chaos import tasks
from tests.chaos.tasks import PRIME

#: Of values with one of these lengths, the last two leave their jobs in objects of their own.
LENGTHS = (1, 500, 12_000, 15_000)
#: Graphs are planned like this while a cluster is open, so expect the same values.
AS_TASKS = {"dataframe.shuffle.method": "tasks", "array.rechunk.method": "tasks"}

Between = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Case:
    """A graph in two steps.

    Attributes
    ----------
    kind : str
        What it is made of.
    run : callable
        Computes it with a client; calls the second argument between the steps.
    expect : callable
        Gives the values without a cluster.
    """

    kind: str
    run: Callable[[Client, Between], Any]
    expect: Callable[[], Any]


def make(seed: int, nap: float = 0.0, kind: str | None = None) -> Case:
    """Make the graph of a seed.

    Parameters
    ----------
    nap : float
        Seconds that its tasks sleep, where they can.
    kind : str, optional
        Of this kind; by default the seed decides.
    """
    random = Random(f"graph {seed}")
    chosen = random.choice(sorted(KINDS))
    return KINDS[kind or chosen](random, nap)


def attempt(call: Callable[[], Any]) -> Any:
    """Give what a call returns, or the exception that it raises."""
    try:
        return call()
    except Exception as error:
        return error


def same(found: Any, expected: Any) -> bool:
    """Tell whether two values are the same, bit by bit."""
    if isinstance(expected, tasks.TaskError):
        return type(found) is tasks.TaskError and found.args == expected.args
    if isinstance(expected, list | tuple):
        return (
            isinstance(found, list | tuple)
            and len(found) == len(expected)
            and all(map(same, found, expected))
        )
    if isinstance(expected, np.ndarray):
        return (
            isinstance(found, np.ndarray)
            and found.dtype == expected.dtype
            and np.array_equal(found, expected)
        )
    if isinstance(expected, pd.DataFrame | pd.Series):
        return type(found) is type(expected) and found.equals(expected)
    if isinstance(expected, xr.DataArray):
        return isinstance(found, xr.DataArray) and found.identical(expected)
    return type(found) is type(expected) and bool(found == expected)


def _case(kind: str, middle: Sequence[Any], finish: Callable[..., list[Any]]) -> Case:
    """Make a case of collections: those in the middle are persisted, then the end is computed."""

    def run(client: Client, between: Between) -> Any:
        held = client.persist(list(middle))
        wait(held)
        between()
        return client.gather(client.compute(finish(*held)))

    def expect() -> Any:
        with dask.config.set(AS_TASKS):
            return list(dask.compute(*finish(*middle), scheduler="sync"))

    return Case(kind, run, expect)


def _delayed(random: Random, nap: float) -> Case:
    mixed, made = delayed(tasks.mix, pure=False), delayed(tasks.source, pure=False)
    nodes = [
        made(random.randrange(PRIME), random.choice(LENGTHS), nap)
        for _ in range(random.randint(3, 12))
    ]

    def grow(nodes: list[Any], count: int) -> list[Any]:
        nodes = list(nodes)
        for _ in range(count):
            parts = random.choices(nodes, k=random.randint(1, 3))
            nodes.append(mixed(random.randint(2, 9), nap, *parts))
        return nodes

    nodes = grow(nodes, random.randint(2, 25))
    middle = random.sample(nodes, 3)
    count, seed, raises = random.randint(2, 15), random.random(), random.random() < 0.15

    def finish(*held: Any) -> list[Any]:
        random.seed(seed)
        ends = grow(list(held), count)[-3:]
        return [*ends, delayed(tasks.fail)("of its own", *held)] if raises else ends

    return _case("delayed", middle, finish)


def _array(random: Random, nap: float) -> Case:
    n, chunk = random.choice([(60, 20), (200, 67), (300, 150)])
    x = da.arange(n * n, chunks=n * chunk).reshape((n, n)).rechunk((chunk, n))
    constant = np.arange(n * n).reshape((n, n)) % 1009  # above 64 KiB for all but the smallest
    x = (x * random.randint(2, 9) + da.from_array(constant, chunks=(n, chunk))) % PRIME
    if nap:
        x = x.map_blocks(tasks.slow, nap, dtype=x.dtype)
    ways: list[Callable[[Any], Any]] = [
        lambda x: x.sum(),
        lambda x: x.T.rechunk((chunk, n)).sum(axis=1),
        lambda x: x[::2, : n // 2].max(axis=0),
        lambda x: (x + x.T) % 7,
        lambda x: da.where(x % 2, x, -x).cumsum(axis=0),
        lambda x: x.map_overlap(tasks.edges, depth=1, boundary="periodic", dtype=x.dtype),
        lambda x: (x[: n // 2] @ x[:, : n // 2]) % PRIME,
    ]
    chosen = random.sample(ways, 3)
    return _case("array", [x], lambda held: [way(held) for way in chosen])


def _bag(random: Random, nap: float) -> Case:
    first = random.randrange(1000)
    numbers = db.from_sequence(range(first, first + 400), npartitions=random.randint(3, 9))
    middle = numbers.map(tasks.spell, nap / 40)
    ways: list[Callable[[Any], Any]] = [
        lambda bag: bag.fold(add, initial=0),
        lambda bag: bag.filter(tasks.is_odd).count(),
        lambda bag: bag.map(tasks.last_digit).frequencies(sort=True),
        lambda bag: (
            bag.groupby(tasks.last_digit, shuffle="tasks").map(tasks.group_sum).fold(add, initial=0)
        ),
        lambda bag: bag.topk(5),
        lambda bag: bag.distinct(key=tasks.last_digit).count(),
    ]
    chosen = random.sample(ways, 3)
    return _case("bag", [middle], lambda held: [way(held) for way in chosen])


def _dataframe(random: Random, nap: float) -> Case:
    n, factor = random.choice([90, 3_000, 30_000]), random.randint(2, 9)
    frame = pd.DataFrame({"a": np.arange(n) * factor % 97, "b": np.arange(n) % 11})
    table = dd.from_pandas(frame, npartitions=random.randint(3, 7))
    middle = table.assign(c=table.a * 3 + table.b)
    if nap:
        middle = middle.map_partitions(tasks.slow, nap, meta=middle._meta)
    ways: list[Callable[[Any], Any]] = [
        lambda t: t.groupby("b").c.sum(),
        lambda t: t[t.a % 2 == 0].c.max(),
        lambda t: t.c.value_counts().sum(),
        lambda t: t.shuffle("b").map_partitions(tasks.by_group, meta=("c", "int64")).sum(),
        lambda t: t.merge(t.groupby("b").a.max().reset_index(), on="b").a_x.sum(),
        lambda t: t.c.cumsum().tail(5, compute=False),
        lambda t: t.set_index("a").c.count(),
    ]
    chosen = random.sample(ways, 3)
    return _case("dataframe", [middle], lambda held: [way(held) for way in chosen])


def _xarray(random: Random, nap: float) -> Case:
    days, cells = random.choice([(30, 12), (365, 60)])
    numbers = da.arange(days * cells, chunks=(cells * 30,)).reshape((days, cells))
    data = (numbers * random.randint(2, 9)) % PRIME
    if nap:
        data = data.map_blocks(tasks.slow, nap, dtype=data.dtype)
    coordinates = {"day": np.arange(days), "month": ("day", np.arange(days) // 30)}
    field = xr.DataArray(data, dims=("day", "cell"), coords=coordinates)
    ways: list[Callable[[Any], Any]] = [
        lambda x: x.groupby("month").sum(),
        lambda x: x.sum("cell"),
        lambda x: x.isel(day=slice(0, None, 7)).max("day"),
        lambda x: (x - x.isel(day=0)).min(),
        lambda x: x.coarsen(cell=3).sum().transpose("cell", "day"),
    ]
    chosen = random.sample(ways, 3)
    return _case("xarray", [field], lambda held: [way(held) for way in chosen])


def _futures(random: Random, nap: float) -> Case:
    """Scattered values and a plugin: what the client brings that no task makes."""
    seeds = [random.randrange(PRIME) for _ in range(random.randint(4, 30))]
    length, number = random.choice(LENGTHS), random.randrange(100)
    given = [tasks.source(n, random.choice(LENGTHS[1:]), 0) for n in range(random.randint(1, 3))]

    def run(client: Client, between: Between) -> Any:
        client.register_plugin(tasks.Setup(number))
        scattered = client.scatter(given)
        made = client.map(tasks.source, seeds, length=length, nap=nap, pure=False)
        mixed = [client.submit(tasks.mix, 3, nap, one, scattered[0], pure=False) for one in made]
        wait(mixed)
        between()
        ends = client.map(tasks.with_setup, mixed, pure=False)
        last = client.submit(tasks.mix, 5, nap, *ends, *scattered, pure=False)
        return client.gather([last, *ends])

    def expect() -> Any:
        mixed = [tasks.mix(3, 0, tasks.source(seed, length, 0), given[0]) for seed in seeds]
        ends = [value + number for value in mixed]
        return [tasks.mix(5, 0, *ends, *given), *ends]

    return Case("futures", run, expect)


KINDS: dict[str, Callable[[Random, float], Case]] = {
    "array": _array,
    "bag": _bag,
    "dataframe": _dataframe,
    "delayed": _delayed,
    "futures": _futures,
    "xarray": _xarray,
}
