"""A script whose tasks change what they are called with, for `test_own_arguments.py`."""

from __future__ import annotations

import functools
import json
import sys
from typing import Any

import dask
import numpy as np
from dask import delayed
from distributed import Client

from dask_knot import KnotCluster

COUNT = 0
SEEN: list[int] = []
TASKS = 12


class Counter:
    """Counts by itself, and for its class."""

    total = 0
    seen: list[int] = []  # noqa: RUF012

    def __init__(self) -> None:
        self.n = 0

    def count(self, x: int) -> int:
        self.n += 1
        return self.n


def count_globally(x: int) -> int:
    global COUNT
    COUNT += 1
    return COUNT


def remember_globally(x: int) -> int:
    SEEN.append(x)
    return len(SEEN)


def remember_by_default(x: int, found: list[int] = []) -> int:  # noqa: B006
    found.append(x)
    return len(found)


def count_for_the_class(x: int) -> int:
    Counter.total += 1
    return Counter.total


def remember_for_the_class(x: int) -> int:
    Counter.seen.append(x)
    return len(Counter.seen)


def count_for_the_function(x: int) -> int:
    count_for_the_function.n = getattr(count_for_the_function, "n", 0) + 1
    return count_for_the_function.n


def counting() -> Any:
    n = 0

    def count(x: int) -> int:
        nonlocal n
        n += 1
        return n

    return count


def add(x: int, array: np.ndarray) -> float:
    array += 1
    return float(array.max())


def take(x: int, settings: dict[str, int]) -> int:
    return settings.pop("one")


def draw(x: int, generator: np.random.Generator) -> int:
    return int(generator.integers(1 << 30))


def append(x: int, items: list[int]) -> int:
    items.append(x)
    return len(items)


def count(x: int, counter: Counter) -> int:
    return counter.count(x)


def is_same(x: int, method: Any, counter: Counter) -> int:
    method(x)
    return counter.n


def fail_twice(x: int, items: list[int], tries: str) -> int:
    items.append(x)
    with open(f"{tries}-{x}", "a+") as file:
        file.write("x")
        if file.tell() < 3:
            raise ValueError("not yet")
    return len(items)


def maps(client: Client, folder: str) -> dict[str, list[Any]]:
    functions = {
        "global counter": count_globally,
        "global list": remember_globally,
        "default": remember_by_default,
        "class counter": count_for_the_class,
        "class list": remember_for_the_class,
        "function attribute": count_for_the_function,
        "captured": counting(),
        "method": Counter().count,
        "partial": functools.partial(append, items=[]),
    }
    arguments = {
        "settings": (take, {"settings": {"one": 1}}),
        "small array": (add, {"array": np.zeros(10)}),
        "large array": (add, {"array": np.zeros(50_000)}),
        "mapped array": (add, {"array": np.zeros(500_000)}),
        "object": (count, {"counter": Counter()}),
        "both": (is_same, {"method": (it := Counter()).count, "counter": it}),
        "built-in method": (lambda x, pop: pop(), {"pop": [3, 2, 1].pop}),
        "settings in a list": (lambda x, all_: all_[0].pop("one"), {"all_": [{"one": 1}]}),
    }
    found = {name: client.map(f, range(TASKS), pure=False) for name, f in functions.items()}
    for name, (function, keywords) in arguments.items():
        found[name] = client.map(function, range(TASKS), **keywords, pure=False)
    array, large = np.zeros(10), np.zeros(50_000)
    found["positional"] = client.map(add, range(TASKS), [array] * TASKS, pure=False)
    found["submitted"] = [client.submit(add, n, large, pure=False) for n in range(TASKS)]
    found["drawn"] = client.map(draw, range(TASKS), generator=np.random.default_rng(1), pure=False)
    found["retried"] = client.map(
        fail_twice, range(TASKS), items=[], tries=f"{folder}/a", retries=5, pure=False
    )
    return client.gather(found)


def graphs(folder: str) -> dict[str, Any]:
    array, large, items = np.zeros(10), np.zeros(50_000), [0]
    counter = delayed(Counter())
    tries = f"{folder}/inside"
    with dask.annotate(retries=5):
        parts = [delayed(fail_twice)(n, items, tries) for n in range(TASKS)]
    found = {
        "delayed array": [delayed(add)(n, array) for n in range(TASKS)],
        "delayed large array": [delayed(add)(n, large) for n in range(TASKS)],
        "delayed list": [delayed(append)(n, items) for n in range(TASKS)],
        "delayed object": [counter.count(n) for n in range(TASKS)],
        "delayed method": [delayed(Counter().count)(n) for n in range(TASKS)],
        "delayed literal": [delayed(add)(n, delayed(array)) for n in range(TASKS)],
        "retried inside": [delayed(list)(parts)],
    }
    names = list(found)
    return dict(zip(names, dask.compute(*found.values(), optimize_graph=False), strict=True))


def main(folder: str, options: dict[str, Any]) -> None:
    given = {"memory": "1 GiB", "dashboard_address": None, **options}
    with KnotCluster(**given) as cluster, Client(cluster) as client:
        found = graphs(folder)
        if "processes" not in options:  # each shard starts its own
            found |= maps(client, folder)
        print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
