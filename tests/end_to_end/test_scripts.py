"""What a script defines itself reaches its jobs, whatever it is wrapped in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SCRIPT = '''
import dataclasses, enum, functools, multiprocessing, sys
from distributed import Client
from dask_knot import KnotCluster

@functools.lru_cache
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)

@functools.singledispatch
def kind(x):
    return "other"

@kind.register
def _(x: int):
    return "int"

class Missing:
    def __reduce__(self):
        return "MISSING"

MISSING = Missing()

class Dispatcher:
    """Like a compiled function: it pickles as the name of what it stands for."""

    def __init__(self, function):
        functools.update_wrapper(self, function)

    def __call__(self, x):
        return self.__wrapped__(x)

    def __reduce__(self):
        return self.__qualname__

@Dispatcher
def tenfold(x):
    return 10 * x

class Color(enum.Enum):
    RED = 1

@dataclasses.dataclass
class Point:
    x: int

    @functools.cached_property
    def double(self):
        return 2 * self.x

    @classmethod
    @functools.cache
    def name(cls, n):
        return cls.__name__ + str(n)

    @functools.singledispatchmethod
    def add(self, y):
        return "no number"

    @add.register
    def _(self, y: int):
        return Point(self.x + y)

def plain(x, missing=MISSING):
    field = dataclasses.fields(Point)[0]
    is_same = missing is MISSING and field.default is dataclasses.MISSING
    return x, is_same, MISSING, Color.RED, Point(1).double, Point.name(2), Point(3).add(4), fib(9)

def work():
    with KnotCluster(jobs=1, memory="1 GiB", dashboard_address=None) as cluster:
        with Client(cluster) as client:
            calls = [(fib, 10), (kind, 1), (kind, "a"), (tenfold, 2), (functools.partial(fib), 5)]
            futures = [client.submit(function, x) for function, x in calls]
            futures += [client.submit(plain, 1), client.submit(plain, 2, MISSING)]
            *results, one, two = client.gather(futures)
            assert results == [55, "int", "other", 20, 5], results
            assert one == (1, True, MISSING, Color.RED, 2, "Point2", Point(7), 34), one
            assert two == (2, *one[1:]), two
            assert type(one[-2]) is Point
    print("done")

if __name__ == "__main__":
    if sys.argv[1:]:
        process = multiprocessing.get_context("spawn").Process(target=work)
        process.start()
        process.join()
    else:
        work()
'''


@pytest.mark.parametrize("arguments", [[], ["spawned"]])
def test_what_a_script_defines(tmp_path: Path, arguments: list[str]) -> None:
    """In a spawned process, where macOS' own pools run, the script has another name."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stdout == "done\n", done.stderr
